"""Puts the agent together: home, ledger, gate, connection, heartbeats; and starts it."""

import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core.memory import give_back_large_blocks
from fedstudy_core.sandbox.choosing import Sandbox
from fedstudy_node import __version__, connecting
from fedstudy_node.agent import Agent
from fedstudy_node.approvals import Approvals
from fedstudy_node.bell import Bell
from fedstudy_node.clerk import Clerk
from fedstudy_node.clock import Clock
from fedstudy_node.control import Control
from fedstudy_node.datasets import Datasets
from fedstudy_node.desk import Desk
from fedstudy_node.flower import Fleet
from fedstudy_node.freight import FreightClient
from fedstudy_node.gate import Gate
from fedstudy_node.heartbeats import Heartbeats
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.page.server import PageServer
from fedstudy_node.pooling.watch import PoolWatch
from fedstudy_node.portal import Portal, open_bulk_client, open_client
from fedstudy_node.preloading import Preloading
from fedstudy_node.runs import Runs
from fedstudy_node.status import Status
from fedstudy_node.wakes import Wakes
from fedstudy_node.walls import choose_sandbox
from fedstudy_node.warden import Warden
from fedstudy_node.watching import Watching

log = structlog.get_logger()


def serve(home: Home, stop: threading.Event) -> None:
    """Serve the home's node until `stop` is set. Blocks."""
    settings = home.enrolled()
    wake, bell, clock = threading.Event(), Bell(), Clock()
    status = Status(home.status_path)
    log.info("starting", node=settings.node, name=settings.name, version=__version__)

    give_back_large_blocks()
    sandbox, preloading = _prepare_for_scripts(home)
    status.set(sandbox=sandbox.level, sandbox_missing=sandbox.report.next_step())
    log.info("sandbox", level=sandbox.level, missing=sandbox.report.next_step())

    control = Control(home)
    open_portal = partial(_open_portal, home, clock)
    pool = PoolWatch(home, partial(connecting.open_portal, home), stop)
    heartbeats = Heartbeats(
        home, open_portal, Datasets(home), status, control,
        clock=clock, sandbox=sandbox.level, stop=stop, wake=wake, tell_pool=pool.tell,
    )  # fmt: skip
    clerk = Clerk(home, partial(connecting.open_portal, home), stop, heartbeats.hurry)
    with closing(Ledger(home.ledger_path)) as ledger:
        ledger.forget_old_replies()
        agent = build_agent(
            home, ledger, sandbox, preloading,
            status=status, stop=stop, wake=wake, bell=bell, control=control, clock=clock,
            begin_anew=heartbeats.begin_anew,
        )  # fmt: skip
        warden = Warden(control, agent.runs, Approvals(home), Datasets(home), stop=stop, changed=heartbeats.hurry)
        page = PageServer(home, control, status, hurry=clerk.hurry, served=heartbeats.hurry)
        wakes = Wakes(home, bell, stop, partial(_hurry, clerk, heartbeats))
        for thread in (heartbeats, warden, clerk, pool, wakes, Watching(home, stop)):
            thread.start()
        page.start()
        agent.run()
    page.close()
    _hurry(clerk, pool)
    for thread in (heartbeats, clerk, pool):
        thread.join(timeout=2)
    status.set(fleet="stopped", portal="stopped", runs=[])
    log.info("stopped", node=settings.node)


def _hurry(*waiting: Clerk | Heartbeats | PoolWatch) -> None:
    for thread in waiting:
        thread.hurry()


def _open_portal(home: Home, clock: Clock, identity: Ed25519PrivateKey) -> Portal:
    """Return a connection to the portal for the heartbeats, by whose answers the clock is set."""
    settings = home.enrolled()
    client = open_client(settings.portal, home.portal_ca())
    client.event_hooks = {"response": [clock.hear]}
    return Portal(client, node=settings.node, identity=identity, ledger=Ledger(home.ledger_path))


def _prepare_for_scripts(home: Home) -> tuple[Sandbox, Preloading]:
    """Choose the sandbox; meanwhile what scripts need is being imported, which takes longer."""
    settings = home.settings()
    preloading = Preloading(home, threads=settings.torch_threads)
    if settings.preload:
        preloading.prepare()
    sandbox = choose_sandbox(home)
    if not sandbox.walls.forked:
        preloading.close()
    return sandbox, preloading


def build_agent(
    home: Home,
    ledger: Ledger,
    sandbox: Sandbox,
    preloading: Preloading | None = None,
    *,
    status: Status,
    stop: threading.Event,
    wake: threading.Event,
    bell: Bell | None = None,
    control: Control | None = None,
    clock: Clock | None = None,
    begin_anew: Callable[[], None] = lambda: None,
) -> Agent:
    """Return the agent of an enrolled home, not started."""
    settings = home.enrolled()
    freight = FreightClient(
        open_bulk_client(settings.portal, home.portal_ca()), settings.node, home.identity_key, home.work_path
    )
    fleet = Fleet(settings.superlink, home.superlink_ca(), home.flower_key(), clock or Clock(), freight)
    runs = Runs(home, fleet, sandbox, preloading)
    gate = Gate(home, ledger, Datasets(home), Approvals(home), sandbox=sandbox.report, clock=clock)
    desk = Desk(home, ledger, gate, runs, control)
    return Agent(
        home, fleet=fleet, runs=runs, desk=desk, status=status, stop=stop, wake=wake, bell=bell, begin_anew=begin_anew
    )

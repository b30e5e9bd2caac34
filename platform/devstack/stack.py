"""The whole of FedStudy on this machine: services, SuperLink, portal, worker, reconciler and node agents."""

import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from devstack import services, superlink
from devstack.errors import SetupError
from devstack.nodes import NodeHome
from devstack.ports import free_port
from devstack.processes import Child, Command, Supervisor
from devstack.services import Folders, Services
from devstack.superlink import SuperLink

ROOT = Path(__file__).resolve().parents[2]
PREFERRED_PORT = 8000
PREFERRED_PAGE_PORT = 8601
WORKER_PROCESSES = 2
# On one machine, which has few processors, the worker does what another does elsewhere: it sends e-mail and webhooks.
QUEUES = ("fedstudy", "outside")
# Here nothing is spoken to by TLS; to load the authorities that are trusted elsewhere would take longer than to ask.
NO_TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
# Settings of the machine's owner that must not reach into the stack.
FOREIGN = ("FEDSTUDY_", "DJANGO_", "FLWR_", "PG", "CELERY_")


class PagePorts:
    """Ports for the nodes' own pages: from `first` upwards where nobody listens, or any. Used from several threads."""

    def __init__(self, first: int | None) -> None:
        self._lock = threading.Lock()
        self._next = first
        self._given: set[int] = set()

    def take(self) -> int:
        """Return a port that was not given before."""
        with self._lock:
            port = free_port(self._next)
            while port in self._given:
                port = free_port()
            self._given.add(port)
            if self._next is not None:
                self._next += 1
            return port


def say_nothing(step: str) -> None:
    """Progress for those who want none."""


@dataclass(frozen=True)
class Stack:
    """A running stack. `environment` is the portal's; `nodes` are the hospitals' agents by name."""

    supervisor: Supervisor
    folders: Folders
    services: Services
    superlink: SuperLink
    portal_url: str
    environment: Mapping[str, str]
    nodes: dict[str, NodeHome] = field(default_factory=dict)
    page_ports: "PagePorts" = field(default_factory=lambda: PagePorts(None))
    probing: threading.Lock = field(default_factory=threading.Lock)

    def manage(self, *words: str) -> str:
        """Run a management command in a process of its own; returns what it printed. Raises SetupError."""
        return manage(self.environment, *words)

    def manage_as_owner(self, *words: str) -> str:
        """As `manage`, by the role that owns the tables."""
        return manage({**self.environment, **services.owner_environment(self.services)}, *words)

    def node(self, name: str) -> NodeHome:
        """The node of this name. Nothing of the portal is in its environment."""
        if name not in self.nodes:
            home = self.folders.state / "nodes" / name
            self.nodes[name] = NodeHome(name, home, self.folders.logs / f"node-{name}.log", plain_environment())
        return self.nodes[name]

    def sandbox(self, name: str) -> str:
        """The level that holds on this machine, which is the same for all nodes: one of them attacks its own walls."""
        with self.probing:
            asked = [node for node in list(self.nodes.values()) if "sandbox" in vars(node)]
            return (asked or [self.node(name)])[0].sandbox

    def start_agent(self, name: str) -> Child:
        """Start the agent of an enrolled node. Returns at once; the portal tells when it is online."""
        return self.supervisor.launch(self.node(name).run_command())


def start(
    supervisor: Supervisor,
    folders: Folders,
    *,
    profile: str,
    say: Callable[[str], None] = say_nothing,
    port: int | None = PREFERRED_PORT,
    portal_processes: int = 1,
) -> Stack:
    """Start everything but the node agents, in `folders`; `say` is told each step.

    `port` is where the portal should listen if nobody does; None means any. Raises SetupError.
    `portal_processes` answer requests there.
    """
    say("Starting PostgreSQL and Valkey")
    running = services.start(supervisor, folders)
    link = superlink.launch(
        supervisor, folders.state / "superlink", folders.logs / "superlink.log", plain_environment()
    )
    listen = free_port(port)
    if port is not None and listen != port:
        say(f"Port {port} is taken: the portal listens on {listen} instead")
    url = f"http://127.0.0.1:{listen}"
    environment = {
        **plain_environment(),
        **services.portal_environment(running, folders, profile=profile),
        **link.environment,
        **superlink.QUIET,
        "FEDSTUDY_PUBLIC_URL": url,
        "FLWR_HOME": str(folders.state / "worker" / "flower"),
    }
    say("Making the database's tables")
    manage({**environment, **services.owner_environment(running)}, "migrate", "--no-input", "--verbosity", "0")
    say("Starting the portal, its workers and the SuperLink")
    portal = supervisor.launch(_portal(environment, folders, listen, portal_processes))
    worker = supervisor.launch(_worker(environment, folders))
    supervisor.launch(_beat(environment, folders))
    supervisor.launch(sequencer_command({**environment, **services.sequencer_environment(running, folders)}, folders))
    for child in (link.child, portal, worker):
        child.wait_ready()
    pages = PagePorts(None if port is None else PREFERRED_PAGE_PORT)
    return Stack(supervisor, folders, running, link, url, environment, page_ports=pages)


def plain_environment() -> dict[str, str]:
    """This process's environment without the settings that other stacks or tools put there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return kept | {"PYTHONUNBUFFERED": "1"}


def manage(environment: Mapping[str, str], *words: str) -> str:
    """Run `manage.py` with these words; returns what it printed. Raises SetupError with its error output."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *words],
        env=dict(environment),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SetupError(
            f"`manage.py {' '.join(words)}` failed:\n{done.stderr[-4000:]}",
            "put right what its last line names; if the checkout is unchanged, run `make clean` first",
        )
    return done.stdout


def _portal(environment: Mapping[str, str], folders: Folders, port: int, processes: int) -> Command:
    words = ["-m", "uvicorn", "portal.asgi:application", "--host", "127.0.0.1", "--port", str(port)]
    words += ["--workers", str(processes)] if processes > 1 else []
    # Nodes hold connections open, which a portal that stops does not wait for.
    words += ["--lifespan", "on", "--timeout-graceful-shutdown", "2", "--no-access-log", "--log-level", "warning"]
    return Command(
        name="portal",
        argv=[sys.executable, *words],
        log=folders.logs / "portal.log",
        env=environment,
        cwd=ROOT,
        ready=lambda: _healthy(f"http://127.0.0.1:{port}/healthz"),
        stop_timeout_s=5,
    )


def _healthy(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False, verify=NO_TRUST).is_success
    except httpx.TransportError:
        return False


def _worker(environment: Mapping[str, str], folders: Folders) -> Command:
    log = folders.logs / "worker.log"
    words = ["worker", "--pool", "prefork", "--concurrency", str(WORKER_PROCESSES), "--loglevel", "INFO"]
    words += ["--queues", ",".join(QUEUES)]
    return Command(
        name="worker",
        argv=[*_celery(), *words, "--without-gossip", "--without-mingle", "--hostname", "worker@fedstudy"],
        log=log,
        env=environment,
        cwd=ROOT,
        ready=lambda: b" ready." in log.read_bytes(),
        stop_timeout_s=15,
    )


def _beat(environment: Mapping[str, str], folders: Folders) -> Command:
    schedule = folders.state / "beat" / "schedule"
    schedule.parent.mkdir(parents=True, exist_ok=True)
    words = ["beat", "--loglevel", "WARNING", "--schedule", str(schedule), "--pidfile", ""]
    return Command(
        name="beat",
        argv=[*_celery(), *words],
        log=folders.logs / "beat.log",
        env=environment,
        cwd=ROOT,
    )


def sequencer_command(environment: Mapping[str, str], folders: Folders) -> Command:
    """The log's sequencer, by its own role (`services.sequencer_environment`). It gives way to those who write."""
    return Command(
        name="sequencer",
        argv=["nice", "-n", "5", sys.executable, str(ROOT / "manage.py"), "sequence_log"],
        log=folders.logs / "sequencer.log",
        env=environment,
        cwd=ROOT,
    )


def _celery() -> list[str]:
    return [sys.executable, "-m", "celery", "--app", "portal.celery:app"]

"""Runs that a script's own ServerApp leads: exchanges as rounds, replay after a crash, bounds, what it leaves."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, MetricRecord, RecordDict

from federation.runs import drivers, engine, journal, leading
from federation.runs.flower import Reply
from federation.runs.lease import Lease, claim
from federation.runs.management.commands import lead_run
from federation.runs.models import Participation, Round, Run, RunFile
from federation.runs.phases import OWN_SERVER
from federation.runs.storage import file_store, model_store
from federation.serverapps import machine
from federation.serverapps.machine import Bounds
from fedstudy_core import bundle as bundles
from fedstudy_core import flower as records
from fedstudy_core.artifacts import decode_arrays
from tests.runs.scene import Scene
from tests.runs.simulation import Site, SuperLink, arrays

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # of Flower's builder
]

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "counting"
version = "1.0.0"
license = "Apache-2.0"
dependencies = ["flwr>=1.30.0", "NEEDS"]
[tool.flwr.app]
publisher = "demo"
[tool.flwr.app.components]
serverapp = "counting.server_app:app"
clientapp = "counting.client_app:app"
[tool.flwr.app.config]
start = 1
"""
CLIENT = "from flwr.clientapp import ClientApp\n\napp = ClientApp()\n"
HEAD = """
import random
import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()


def ask(grid, kind, value, nodes=None):
    content = RecordDict({"config": ConfigRecord({"value": value})})
    return [Message(content, node, kind) for node in nodes or grid.get_node_ids()]


@app.main()
def main(grid, context):
"""
STEPS = """
    total = float(context.run_config["start"])
    for _ in range(3):
        replies = grid.send_and_receive(ask(grid, "query.add", total + random.random()), timeout=30)
        total = sum(reply.content["sums"]["value"] for reply in replies if reply.has_content())
    np.savez("final_model.npz", total=np.array([total]))
    open("report.txt", "w").write("the end")
    print("printed at the centre")
"""


def fab(main: str, needs: str) -> bytes:
    files = {
        "pyproject.toml": PROJECT.replace("NEEDS", needs), "counting/__init__.py": "", "counting/client_app.py": CLIENT,
        "counting/server_app.py": HEAD + main,
    }  # fmt: skip
    return bundles.build({name: text.encode() for name, text in files.items()})


def add_one(site: Site, order: records.Order, content: RecordDict) -> Reply:
    config = content["config"]
    assert isinstance(config, ConfigRecord)
    metrics = MetricRecord({"value": float(config["value"]) + 1, "num-examples": 7})  # type: ignore[arg-type]
    return Reply("", site.done(order, RecordDict({"sums": metrics})), "", True, 10)


@pytest.fixture(autouse=True)
def any_sandbox(settings: Any) -> Iterator[None]:
    settings.FEDSTUDY_SERVER_APP_SANDBOX = "S0"
    yield
    machine.sandbox_for.cache_clear()


@pytest.fixture
def stage(rehearse: Callable[..., tuple[Scene, SuperLink]]) -> Callable[..., tuple[Scene, SuperLink]]:
    def build(main: str, *, needs: str = "numpy", **wishes: Any) -> tuple[Scene, SuperLink]:
        scene, link = rehearse(**{"rounds": 10, **wishes})
        bundle = fab(main, needs)
        version = scene.run.version
        version.bundle, version.declaration = bundle, bundles.inspect(bundle).declaration.model_dump(mode="json")
        version.save()
        Run.objects.filter(pk=scene.run.pk).update(strategy=OWN_SERVER, config={"start": 1})
        for site in link.sites.values():
            site.behave = add_one
        return scene, link

    return build


def lead(run_id: uuid.UUID) -> None:
    lease = claim(run_id)
    assert lease is not None
    leading.lead(lease)


def left(run: Run) -> float:
    return float(decode_arrays(model_store().get(run.models.get().sha256))["total"][0])


def undisturbed(stage: Callable[..., tuple[Scene, SuperLink]]) -> tuple[Scene, SuperLink]:
    scene, link = stage(STEPS)
    lead(scene.run.pk)
    assert scene.reload().state == "completed", scene.run.reason
    return scene, link


def test_each_exchange_is_a_round_and_what_it_leaves_is_kept(stage: Callable[..., tuple[Scene, SuperLink]]) -> None:
    scene, _ = undisturbed(stage)
    rounds = list(Round.objects.filter(run=scene.run))
    assert [(item.number, item.phase, item.state) for item in rounds] == [
        (1, "query.add", "committed"), (2, "query.add", "committed"), (3, "query.add", "committed"),
        (4, "result", "committed"),
    ]  # fmt: skip
    rows = Participation.objects.filter(round__run=scene.run)
    assert {(row.state, row.examples) for row in rows} == {("done", 7)}
    assert all(row.receipt and row.content_sha256 for row in rows)
    files = {file.name: file for file in RunFile.objects.filter(run=scene.run)}
    assert {name: file.form for name, file in files.items()} == {
        "final_model.npz.safetensors": "parameters", "report.txt": "other", "server-app.log": "other",
    }  # fmt: skip
    assert file_store().get(files["report.txt"].sha256) == b"the end"
    assert b"printed at the centre" in file_store().get(files["server-app.log"].sha256)
    assert left(scene.run) > 30


def test_what_it_printed_is_there_when_the_run_is_complete(
    stage: Callable[..., tuple[Scene, SuperLink]], monkeypatch: pytest.MonkeyPatch
) -> None:
    complete, before = journal.complete_run, []

    def look_and_complete(lease: Lease) -> None:
        before.extend(RunFile.objects.values_list("name", flat=True))
        complete(lease)

    monkeypatch.setattr(journal, "complete_run", look_and_complete)
    undisturbed(stage)
    assert leading.LOG_FILE in before


def test_another_driver_goes_on_from_the_recorded_answers(
    stage: Callable[..., tuple[Scene, SuperLink]], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, link = stage(STEPS)
    commit = leading.server_journal.commit_exchange

    def die(lease: Any, round_: Round, metrics: Any) -> None:
        commit(lease, round_, metrics)
        if round_.number == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(leading.server_journal, "commit_exchange", die)
    with pytest.raises(KeyboardInterrupt):
        lead(scene.run.pk)
    monkeypatch.setattr(leading.server_journal, "commit_exchange", commit)
    asked = {site.node_id: list(site.asked) for site in link.sites.values()}
    lead(scene.run.pk)
    assert scene.reload().state == "completed", scene.run.reason
    for site in link.sites.values():
        assert site.asked[: len(asked[site.node_id])] == asked[site.node_id]
        assert [number for number, _ in site.asked] == [1, 2, 3]
    assert left(scene.run) > 30


def test_an_app_that_asks_something_else_when_started_again_fails(
    stage: Callable[..., tuple[Scene, SuperLink]], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, _ = stage(STEPS.replace("random.random()", "np.random.default_rng().random()"))
    commit = leading.server_journal.commit_exchange

    def die(lease: Any, round_: Round, metrics: Any) -> None:
        commit(lease, round_, metrics)
        raise KeyboardInterrupt

    monkeypatch.setattr(leading.server_journal, "commit_exchange", die)
    with pytest.raises(KeyboardInterrupt):
        lead(scene.run.pk)
    monkeypatch.setattr(leading.server_journal, "commit_exchange", commit)
    lead(scene.run.pk)
    assert (scene.reload().state, scene.run.reason_code) == ("failed", "E_SERVER_APP_REPLAY")


@pytest.mark.parametrize(
    ("main", "code", "words"),
    [
        ("    raise ValueError('no such cohort')\n", "E_SERVER_APP", "no such cohort"),
        ("    import os\n    os._exit(3)\n", "E_SERVER_APP", "process ended"),
        ("    grid.push_messages(ask(grid, 'train', 0.0, [5]))\n", "E_SERVER_APP_LIMIT", "node 5"),
        ("    grid.push_messages(ask(grid, 'system', 0.0))\n", "E_SERVER_APP_LIMIT", "type"),
        (
            "    while True:\n        grid.send_and_receive(ask(grid, 'train', 0.0))\n",
            "E_SERVER_APP_LIMIT",
            "s 10.",
        ),
        ("    import time\n    time.sleep(60)\n", "E_SERVER_APP_TIME", "nothing"),
        ("    import socket\n    socket.create_connection(('127.0.0.1', 1))\n", "E_SERVER_APP", "Error"),
    ],
)
def test_what_an_app_may_not_do_fails_the_run_with_its_code(
    stage: Callable[..., tuple[Scene, SuperLink]], monkeypatch: pytest.MonkeyPatch, main: str, code: str, words: str
) -> None:
    silence_s = 3 if code == "E_SERVER_APP_TIME" else 60
    monkeypatch.setattr(leading, "Bounds", lambda **given: Bounds(**given, silence_s=silence_s))
    scene, _ = stage(main)
    lead(scene.run.pk)
    assert (scene.reload().state, scene.run.reason_code) == ("failed", code), scene.run.reason
    assert words in scene.run.reason


def test_a_site_that_refuses_answers_the_app_by_an_error_while_the_quorum_holds(
    stage: Callable[..., tuple[Scene, SuperLink]],
) -> None:
    scene, link = stage(
        "    replies = grid.send_and_receive(ask(grid, 'train', 0.0))\n"
        "    open('seen.txt', 'w').write(' '.join(r.error.reason if r.has_error() else 'ok' for r in replies))\n",
        quorum=2,
    )
    next(iter(link.sites.values())).behave = lambda site, order, content: site.refuse(order, "E_EXPIRED")
    lead(scene.run.pk)
    assert scene.reload().state == "completed", scene.run.reason
    seen = file_store().get(RunFile.objects.get(run=scene.run, name="seen.txt").sha256)
    assert seen == b"E_EXPIRED: refused ok ok"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (RecordDict({"note": ConfigRecord({"text": "Jane Doe"})}), "E_REPLY"),
        (RecordDict({"a": arrays(w=[np.inf])}), "E_UPDATE_NOT_FINITE"),
        (RecordDict({"m": MetricRecord({"loss": float("nan")})}), "E_METRICS_NOT_FINITE"),
        (RecordDict({"m": MetricRecord({"num-examples": -1})}), "E_UPDATE_WEIGHT"),
    ],
)
def test_a_bad_answer_reaches_no_app(
    stage: Callable[..., tuple[Scene, SuperLink]], answer: RecordDict, code: str
) -> None:
    scene, link = stage("    grid.send_and_receive(ask(grid, 'train', 0.0))\n", quorum=2)
    next(iter(link.sites.values())).behave = lambda site, order, content: Reply(
        "", site.done(order, answer), "", True, 10
    )
    lead(scene.run.pk)
    row = Participation.objects.get(round__run=scene.run, participant__position=0)
    assert (scene.reload().state, row.state, row.code) == ("completed", "failed", code)


def test_a_portal_that_asks_for_a_stronger_sandbox_than_there_is_starts_nothing(
    stage: Callable[..., tuple[Scene, SuperLink]], settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from fedstudy_core.sandbox.choosing import BARE

    settings.FEDSTUDY_SERVER_APP_SANDBOX = "S3"
    monkeypatch.setattr(machine, "choose", lambda home: BARE)
    machine.sandbox_for.cache_clear()
    scene, _ = stage(STEPS)
    lead(scene.run.pk)
    assert (scene.reload().state, scene.run.reason_code) == ("failed", "E_SERVER_APP_SANDBOX")


def test_an_app_whose_packages_the_centre_lacks_never_starts(stage: Callable[..., tuple[Scene, SuperLink]]) -> None:
    scene, link = stage("    import lightgbm_of_tomorrow\n", needs="lightgbm-of-tomorrow>=1.0")
    lead(scene.run.pk)
    assert (scene.reload().state, scene.run.reason_code) == ("failed", "E_DEPENDENCY")
    assert "lightgbm-of-tomorrow>=1.0" in scene.run.reason
    assert all(site.asked == [] for site in link.sites.values())


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of the drivers that were started, none of them in earnest."""
    commands: list[list[str]] = []

    class Process:
        pid = 1

        def __init__(self, command: list[str], **_: object) -> None:
            commands.append(command)

        def poll(self) -> int:
            return 0

    monkeypatch.setattr(drivers, "subprocess", SimpleNamespace(Popen=Process, DEVNULL=None))
    return commands


def test_workers_that_are_woken_together_start_one_driver(
    stage: Callable[..., tuple[Scene, SuperLink]], started: list[list[str]]
) -> None:
    scene, _ = stage(STEPS)
    for _ in range(2):
        assert engine.drive(scene.run.pk) is None
    assert len(started) == 1
    assert started[0][3] == "lead_run"
    leading.lead(drivers.lease_of(started[0][4]))
    assert scene.reload().state == "completed", scene.run.reason


def test_a_driver_that_starts_too_late_leads_nothing(
    stage: Callable[..., tuple[Scene, SuperLink]], started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    led: list[Lease] = []
    monkeypatch.setattr(lead_run, "die_with_parent", lambda parent: None)
    monkeypatch.setattr(leading, "lead", led.append)
    scene, _ = stage(STEPS)
    engine.drive(scene.run.pk)
    Run.objects.filter(pk=scene.run.pk).update(lease_until=None)
    engine.drive(scene.run.pk)
    late, later = (drivers.lease_of(command[4]) for command in started)
    for lease in (late, later):
        lead_run.Command().handle(lease=lease, parent=1)
    assert led == [later]

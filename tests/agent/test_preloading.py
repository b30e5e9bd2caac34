"""The node's fork server: what it imports, and when there is one."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fedstudy_core import bundle as bundles
from fedstudy_core.sandbox import launching
from fedstudy_core.sandbox.forking import ForkServer, Wanted
from fedstudy_node import preloading as module
from fedstudy_node.approvals import Approvals, Signed
from fedstudy_node.children import Child
from fedstudy_node.preloading import Preloading
from tests.factories import agent
from tests.factories.agent import STUDY, Node, make_node
from tests.factories.sandbox import sandbox

FAB = agent.script()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = make_node(tmp_path)
    made.home.work_path.mkdir(mode=0o700, exist_ok=True)
    return made


@pytest.fixture
def preloading(node: Node, monkeypatch: pytest.MonkeyPatch) -> Iterator[Preloading]:
    monkeypatch.setattr(module, "LOOK_AGAIN", 0.0)
    made = Preloading(node.home, threads=1)
    yield made
    made.close()


def approve(node: Node, fab: bytes = FAB, **changed: str) -> str:
    """Keep a statement and the script as they are kept where somebody signs."""
    sha256 = bundles.inspect(fab).sha256
    (node.home.bundles_path / f"{sha256}.fab").write_bytes(fab)
    values = {"decision": "approved", "not_after": "2999-01-01T00:00:00+00:00", "dataset": node.dataset.id, **changed}
    signed = Signed(
        statement_id=sha256, envelope=b"", script="numbers", version="1", study=STUDY, script_sha256=sha256, **values
    )
    Approvals(node.home).keep(signed)
    return sha256


def test_nothing_is_imported_before_something_is_approved(node: Node, preloading: Preloading) -> None:
    preloading.prepare()
    approve(node, decision="rejected")
    preloading.prepare()
    approve(node, not_after="2001-01-01T00:00:00+00:00")
    preloading.prepare()
    assert preloading.server is None


def test_one_server_imports_what_approved_scripts_name(
    node: Node, preloading: Preloading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ALWAYS", ())
    monkeypatch.setattr(module, "WORTH_WAITING", {"flwr": "colorsys", "numpy": "wave"})
    approve(node, agent.app(agent.CLIENT, "flwr"))
    preloading.prepare()
    server = preloading.server
    preloading.prepare()
    assert server is not None
    assert server is preloading.server
    assert server.is_ready(20)
    assert imported(server) == {"colorsys"}
    approve(node, agent.app(agent.CLIENT, "numpy"))
    preloading.prepare()
    assert server.is_ready(20)
    assert imported(server) == {"colorsys", "wave"}


def test_a_run_waits_for_no_next_look(node: Node, preloading: Preloading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN", 3600.0)
    preloading.prepare()
    assert preloading.server is None
    approve(node)
    preloading.prepare()
    assert preloading.server is None
    assert preloading.for_a_run() is not None


def imported(server: ForkServer) -> set[str]:
    """Which of the two modules a forked process finds imported."""
    process = server.fork(Wanted("tests.agent.imported", ("colorsys", "wave"), {}, Path("/")))
    process.begin()
    said = process.stdout.readall().decode()
    assert process.wait(20) == 0, process.stderr.read()
    process.abandon()
    return set(said.split())


def test_a_script_is_inspected_once_however_often_it_is_looked_for(
    node: Node, preloading: Preloading, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = approve(node)
    (node.home.bundles_path / f"{sha256}.fab").rename(node.home.bundles_path / "away")
    inspected: list[bytes] = []
    inspect = bundles.inspect
    monkeypatch.setattr(module.bundles, "inspect", lambda fab: inspected.append(fab) or inspect(fab))
    preloading.prepare()
    assert not inspected, "it is not there"
    (node.home.bundles_path / "away").rename(node.home.bundles_path / f"{sha256}.fab")
    for _ in range(3):
        preloading.prepare()
    assert inspected == [FAB]


def test_a_server_that_ended_is_replaced(node: Node, preloading: Preloading) -> None:
    approve(node)
    preloading.prepare()
    assert preloading.server is not None
    ended = preloading.server.pid
    psutil.Process(ended).kill()
    psutil.wait_procs([psutil.Process(ended)], timeout=10)
    preloading.prepare()
    preloading.prepare()
    assert preloading.server is not None
    assert preloading.server.pid != ended


def test_a_run_starts_anew_where_the_server_does_not_answer(
    node: Node, preloading: Preloading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "IMPORT_S", 0.1)
    approve(node)
    preloading.prepare()
    assert preloading.server is not None
    psutil.Process(preloading.server.pid).suspend()
    child = Child.start(sandbox().walls, slot=tmp_path / "slot", dataset=None, threads=1, server=preloading.server)
    assert child.is_alive()
    child.kill()


@pytest.mark.parametrize(
    ("named", "source", "modules"),
    [
        (("flwr>=1.41", "torch>=2.4"), "import torch", ("torch",)),
        (("torch>=2.4",), "torch.optim.SGD([])", ("torch", "torch._dynamo")),
        (("numpy",), "from torch import optim", ()),
        (("Torch ; python_version > '3'", "pandas[excel]"), "import torch", ("pandas", "torch")),
        (("torchvision", "numpy"), "import torch", ()),
    ],
)
def test_only_what_the_script_needs_and_is_slow_is_imported(
    named: tuple[str, ...], source: str, modules: tuple[str, ...]
) -> None:
    assert module.modules_of(agent.app(source, *named)) == modules


def test_what_torch_imports_for_optimizers_is_what_is_imported_early() -> None:
    program = "import sys, torch; torch.optim.SGD([torch.zeros(1)]); print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert module.OF_OPTIMIZERS in imported.split()

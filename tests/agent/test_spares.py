"""The process that waits for a run with its imports done."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fedstudy_core import bundle as bundles
from fedstudy_node import spares
from fedstudy_node.approvals import Approvals, Signed
from fedstudy_node.spares import Spares
from tests.factories.agent import STUDY, Node, make_node, script
from tests.factories.sandbox import sandbox

FAB = script()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = make_node(tmp_path)
    made.home.work_path.mkdir(mode=0o700, exist_ok=True)
    return made


@pytest.fixture
def waiting(node: Node, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spares]:
    monkeypatch.setattr(spares, "LOOK_AGAIN", 0.0)
    made = Spares(node.home, sandbox(), threads=1)
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


def test_nothing_waits_before_something_is_approved(node: Node, waiting: Spares) -> None:
    waiting.prepare()
    assert waiting.take(Path(node.dataset.path)) is None
    approve(node, decision="rejected")
    waiting.prepare()
    assert waiting.take(Path(node.dataset.path)) is None


def test_one_process_waits_for_the_approved_dataset_and_serves_once(node: Node, waiting: Spares) -> None:
    approve(node)
    waiting.prepare()
    waiting.prepare()
    assert len(list(node.home.work_path.iterdir())) == 1
    spare = waiting.take(Path(node.dataset.path))
    assert spare is not None
    assert spare.child.is_alive()
    assert waiting.take(Path(node.dataset.path)) is None
    spare.child.kill()


def test_one_that_does_not_fit_ends(node: Node, waiting: Spares) -> None:
    approve(node)
    waiting.prepare()
    assert waiting.take(Path("/another.csv")) is None
    assert list(node.home.work_path.iterdir()) == []
    assert waiting.take(Path(node.dataset.path)) is None


def test_one_that_died_is_replaced(node: Node, waiting: Spares) -> None:
    approve(node)
    waiting.prepare()
    psutil.Process(children(node)[0]).kill()
    until(lambda: children(node) == [])
    waiting.prepare()
    spare = waiting.take(Path(node.dataset.path))
    assert spare is not None
    spare.child.kill()


def test_nothing_is_left_when_the_agent_stops(node: Node, waiting: Spares) -> None:
    approve(node)
    waiting.prepare()
    waiting.close()
    assert children(node) == []
    assert list(node.home.work_path.iterdir()) == []


def children(node: Node) -> list[int]:
    """The processes that this one started in the node's working folder."""
    living = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child.pid for child in living if child.cwd().startswith(str(node.home.work_path))]


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("named", "modules"),
    [
        (("flwr>=1.41", "torch>=2.4"), ("torch",)),
        (("Torch ; python_version > '3'", "pandas[excel]"), ("pandas", "torch")),
        (("torchvision", "numpy"), ()),
    ],
)
def test_only_what_the_script_names_and_is_slow_is_imported(named: tuple[str, ...], modules: tuple[str, ...]) -> None:
    assert spares._modules(named) == modules

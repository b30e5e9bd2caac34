"""Hostile and hungry study scripts at a node: each ends with a code, and the next round works."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from flwr.app import RecordDict

from fedstudy_core.sandbox import probes, targets
from fedstudy_node.ledger import Ledger
from fedstudy_node.preloading import Preloading
from tests.factories import agent
from tests.factories.agent import script
from tests.factories.office import Office
from tests.factories.sandbox import fork_server, sandbox

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")]

HOSTILE = Path(__file__).with_name("hostile") / "client_app.py"
SLACK = 5.0


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """A node whose scripts are forked, as they are once a node has been up for a while."""
    monkeypatch.setattr(Preloading, "close", lambda _: None)
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        made = Office(tmp_path, ledger)
        preloading = Preloading(made.node.home, threads=1)
        preloading.server = fork_server()
        monkeypatch.setattr(made.runs, "_preloading", preloading)
        yield made
        made.runs.end_all()


@pytest.fixture
def walled(office: Office) -> Office:
    """The same, where the machine has a sandbox for real data."""
    if not sandbox().report.offers("S3"):
        assert not os.environ.get("CI"), sandbox().report.missing
        pytest.skip(f"this machine has no more than {sandbox().level}")
    return office


def hostile(standing: dict[str, object]) -> bytes:
    """The bundle of the attacking script, with what it is to attack."""
    client = HOSTILE.read_text().replace("TARGETS: dict = {}", f"TARGETS = {json.dumps(standing)}")
    return agent.app(client)


@pytest.mark.parametrize("way", ["anew", "forked"])
def test_a_hostile_script_that_was_approved_gets_nowhere(
    walled: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """All attacks from inside a real study script, which prints those that worked."""
    if way == "anew":
        monkeypatch.setattr(walled.runs, "_preloading", None)
    with targets.standing(walled.node.home.path, tmp_path / "standing") as standing:
        fab = hostile(standing)
        walled.open(fab)
        order = walled.node.order(
            walled.node.approve(fab, min_sites=1), round=0, phase="query", message_type="query.attack"
        )
        account, content = walled.read(walled.ask(order, RecordDict()))
    tried, worked = json.loads(printed(walled, "]]"))
    assert len(tried) >= len(probes.PROBES) + 10
    assert set(worked) == (set() if sandbox().level == "S4" else {"landlock"})
    assert dict(content["metrics"])["mean"] == len(worked)
    assert account.sandbox == sandbox().level


def printed(office: Office, last: str) -> str:
    """What the script printed, once `last` is in it."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        text = "".join(log.read_text() for log in (office.node.home.path / "logs").glob("run-*.log"))
        if last in text:
            return text
        time.sleep(0.01)
    raise AssertionError("the script did not print it")


def bomb(code: str) -> bytes:
    """A script whose training does something else."""
    lines = "\n        ".join(code.strip().splitlines())
    return script(**{"time.sleep(600)": lines})


BOMBS = {
    "memory": ("np.ones(10**10)", {"E_MEMORY"}),
    "shared memory": (
        """
import mmap
page = bytes(1024 * 1024)
shared = mmap.mmap(-1, 4096 * len(page))
for _ in range(4096): shared.write(page)
time.sleep(600)""",
        {"E_MEMORY"},
    ),
    "many memories": (
        """
for _ in range(8):
    if os.fork() == 0:
        rows = bytearray(b"x") * (300 * 1024**2)
        time.sleep(600)
time.sleep(600)""",
        {"E_MEMORY", "E_WALL_CLOCK"},
    ),
    "forks": (
        """
while True:
    try: os.fork()
    except OSError: pass""",
        {"E_WALL_CLOCK", "E_CHILD"},
    ),
    "files": (
        """
many = []
while True: many.append(open(os.devnull))""",
        {"E_SCRIPT"},
    ),
    "disk": (
        """
for number in range(100_000):
    with open(os.path.join(os.environ["HOME"], str(number)), "wb") as file: file.write(bytes(1024**2))""",
        {"E_SCRIPT", "E_MEMORY"},
    ),
    "one file": (
        """
with open(os.path.join(os.environ["HOME"], "one"), "wb") as file:
    while True: file.write(bytes(1024**2))""",
        {"E_SCRIPT", "E_MEMORY"},
    ),
    "processor": ("while True: pass", {"E_WALL_CLOCK"}),
    "prints": ('while True: print("x" * 100_000)', {"E_WALL_CLOCK"}),
    "answer": (
        'return Message(RecordDict({"a": ArrayRecord([np.zeros(10**7)])}), reply_to=message)',
        {"E_OUTPUT_SIZE"},
    ),
    "frames": (
        """
from fedstudy_core.sandbox.frames import Frame, encode
pieces = b"".join(encode(Frame({"kind": "ready"})))
import stat
pipes = [fd for fd in range(3, 20) if os.path.exists(f"/proc/self/fd/{fd}") and stat.S_ISFIFO(os.fstat(fd).st_mode)]
while True: os.write(pipes[-1], pieces * 100)""",
        {"E_WALL_CLOCK"},
    ),
    "deep frame": (
        """
import stat, struct
pipes = [fd for fd in range(3, 20) if os.path.exists(f"/proc/self/fd/{fd}") and stat.S_ISFIFO(os.fstat(fd).st_mode)]
header = b"[" * 200_000
os.write(pipes[-1], struct.pack(">IQ", len(header), 0) + header)
time.sleep(600)""",
        {"E_CHILD"},
    ),
    "made-up failures": (
        """
from fedstudy_core.sandbox.frames import Frame, encode
import stat
lie = {"kind": "failed", "id": 77, "text": "x" * 100_000, "memory": False, "seconds": 1.0}
pipes = [fd for fd in range(3, 20) if os.path.exists(f"/proc/self/fd/{fd}") and stat.S_ISFIFO(os.fstat(fd).st_mode)]
while True: os.write(pipes[-1], b"".join(encode(Frame(lie))))""",
        {"E_CHILD"},
    ),
    "end": ("os.kill(os.getpid(), 9)", {"E_CHILD"}),
    "everybody's end": ("os.kill(-1, 9)", {"E_CHILD", "E_SCRIPT"}),
    "standstill": ("os.kill(os.getpid(), 19); time.sleep(600)", {"E_WALL_CLOCK"}),
    "closed pipes": ("os.closerange(0, 64); time.sleep(600)", {"E_CHILD", "E_WALL_CLOCK"}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_with_a_code_in_time_and_the_next_round_works(walled: Office, name: str) -> None:
    code, expected = BOMBS[name]
    wall, fab = 4 if "E_WALL_CLOCK" in expected else 40, bomb(code)
    walled.open(fab, mode="hang")
    approval = walled.node.approve(fab, min_sites=1, wall_s=wall, memory_mb=600, max_bytes=10**6)
    began = time.monotonic()
    found, account = walled.error(walled.ask(walled.node.order(approval), timeout=wall + 2 * SLACK))
    assert time.monotonic() - began < wall + SLACK
    assert (found, account.outcome) in {(code, "failed") for code in expected}
    assert size_of(walled.node.home.path) < 10 * 1024**2
    walled.runs.end_all()
    walled.open(agent.script())
    account, _ = walled.read(walled.ask(walled.node.order(walled.node.approve(agent.script(), min_sites=1), round=2)))
    assert account.outcome == "done"


def size_of(folder: Path) -> int:
    """Bytes in all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_nothing_that_a_script_started_outlives_its_run(walled: Office) -> None:
    word = f"left-behind-{os.getpid()}"
    fab = bomb(
        f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "{word}"], start_new_session=True)"""
    )
    walled.open(fab, mode="hang")
    account, _ = walled.read(walled.ask(walled.node.order(walled.node.approve(fab, min_sites=1))))
    assert account.outcome == "done"
    assert word in command_lines()
    walled.runs.end_all()
    until = time.monotonic() + 5
    while word in command_lines():
        assert time.monotonic() < until, "it is still there"
        time.sleep(0.01)


def command_lines() -> str:
    """The command lines of all processes of this machine."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_text(errors="replace"))
    return "\n".join(lines)


TORCH = """
import torch
from torch.utils.data import DataLoader, TensorDataset
rows = TensorDataset(torch.arange(512.0).reshape(64, 8), torch.ones(64, 1))
model = torch.nn.Linear(8, 1)
steps = torch.optim.SGD(model.parameters(), lr=1e-6)
seen = 0
for x, y in DataLoader(rows, batch_size=8, num_workers=2):
    steps.zero_grad()
    torch.nn.functional.mse_loss(model(x), y).backward()
    steps.step()
    seen += len(x)
assert seen == 64"""


def test_torch_trains_with_workers_behind_the_walls(walled: Office) -> None:
    fab = bomb(TORCH)
    walled.open(fab, mode="hang")
    account, content = walled.read(walled.ask(walled.node.order(walled.node.approve(fab, min_sites=1)), timeout=60))
    assert account.outcome == "done"
    assert dict(content["metrics"])["num-examples"] == 3


def test_a_script_does_not_learn_where_the_hospital_keeps_its_data(walled: Office) -> None:
    fab = bomb('print(context.node_config["dataset-path"], os.environ["HOME"], os.getcwd(), "]]")')
    walled.open(fab, mode="hang")
    walled.read(walled.ask(walled.node.order(walled.node.approve(fab, min_sites=1))))
    assert printed(walled, "]]").split() == ["/data/dataset.csv", "/scratch", "/app/script", "]]"]


def test_a_script_is_refused_where_the_sandbox_is_weaker_than_its_approval_asks(office: Office) -> None:
    office.sandbox = sandbox("S2")
    office.open()
    asked = office.node.order(office.node.approve(agent.script(), min_sites=1, sandbox_min="S3"))
    answer = office.ask(asked)
    code, account = office.error(answer)
    assert (code, account.outcome, account.sandbox) == ("E_SANDBOX", "refused", office.sandbox.level)
    assert "node.toml" in str(answer.message.error.reason)
    assert [run.child for run in office.runs] == [None]

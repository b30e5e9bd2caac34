"""The node as a witness: what it cosigns, what it refuses and keeps, and that it forgets nothing when it is killed."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from fedstudy_core.errors import Refusal
from fedstudy_core.transparency.checkpoints import Checkpoint
from fedstudy_core.transparency.notes import LOG, Note, NoteKey
from fedstudy_core.transparency.tree import root_of
from fedstudy_node import cli
from fedstudy_node.cli import witnessing
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.portal import PortalUnreachable
from fedstudy_node.witness import Witness
from tests.core.transparency import logs

ROOT = Path(__file__).parents[2]
NODE = "00000000-0000-4000-8000-000000000001"


@dataclass
class LogPortal:
    """A portal that shows the log that a test gives it."""

    hashes: list[bytes] = field(default_factory=list)
    key: str = str(logs.KEY)
    note: str = ""
    succession: str = ""
    cosigned: dict[int, dict[str, Any]] = field(default_factory=dict)
    refusals: list[dict[str, Any]] = field(default_factory=list)
    away: bool = False

    def log(self, seen: int) -> dict[str, Any]:
        proof = [base64.b64encode(hash_).decode() for hash_ in logs.proof(seen, self.hashes)]
        checkpoint = self.note or logs.note(self.hashes)
        return {"key": self.key, "checkpoint": checkpoint, "consistency": proof, "succession": self.succession}

    def add_cosignature(self, **body: Any) -> None:
        if self.away:
            raise PortalUnreachable("E_PORTAL", "The portal cannot be reached.")
        self.cosigned[body["size"]] = body

    def tell_log_refusal(self, **body: Any) -> None:
        if self.away:
            raise PortalUnreachable("E_PORTAL", "The portal cannot be reached.")
        self.refusals.append(body)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.create(tmp_path / "node", name="node-1")
    made.save(replace(made.settings(), node=NODE))
    return made


@pytest.fixture
def ledger(home: Home) -> Iterator[Ledger]:
    with closing(Ledger(home.ledger_path)) as opened:
        yield opened


def look(home: Home, ledger: Ledger, portal: LogPortal) -> bool:
    return Witness(home).look(ledger, portal)  # type: ignore[arg-type]


def refused(home: Home, ledger: Ledger, portal: LogPortal) -> str:
    with pytest.raises(Refusal) as caught:
        look(home, ledger, portal)
    return caught.value.code


def kinds(ledger: Ledger) -> list[str]:
    return [entry.kind for entry in reversed(ledger.journal.entries(50))]


def test_it_cosigns_what_goes_on_from_what_it_saw(home: Home, ledger: Ledger) -> None:
    portal = LogPortal(logs.leaves(3))
    assert look(home, ledger, portal)
    assert not look(home, ledger, portal)
    portal.hashes = logs.leaves(9)
    assert look(home, ledger, portal)
    assert sorted(portal.cosigned) == [3, 9]
    for size, body in portal.cosigned.items():
        key = NoteKey.parse(body["key"])
        text = Checkpoint(logs.ORIGIN, size, root_of(logs.leaves(size))).text
        assert key in Note.parse(f"{text}\n{body['cosignature']}".encode()).signed_by([key])
        assert key.name == f"fedstudy-node/{NODE}"
    assert kinds(ledger) == ["log_pinned"]
    assert (Witness(home).memory().size, Witness(home).memory().cosigned) == (9, 9)


@pytest.mark.parametrize(
    ("hashes", "code"), [(logs.leaves(4), "E_LOG_ROLLBACK"), (logs.leaves(20, other_from=2), "E_LOG_FORK")]
)
def test_what_contradicts_it_is_refused_kept_and_told_once(
    home: Home, ledger: Ledger, hashes: list[bytes], code: str
) -> None:
    portal = LogPortal(logs.leaves(9))
    look(home, ledger, portal)
    seen = Witness(home).memory().note
    portal.hashes, portal.away = hashes, True
    with pytest.raises(PortalUnreachable):
        look(home, ledger, portal)
    portal.away = False
    for _ in range(3):
        assert refused(home, ledger, portal) == code
    assert portal.refusals == [{"code": code, "seen": seen, "offered": logs.note(hashes)}]
    assert list(portal.cosigned) == [9]
    [evidence] = (home.path / "witness").glob("refused-*.json")
    kept = json.loads(evidence.read_bytes())
    assert (kept["seen"], kept["answer"]["checkpoint"]) == (seen, logs.note(hashes))
    assert kinds(ledger) == ["log_pinned", "log_refused"]
    assert Witness(home).memory().note == seen
    assert "refused" in witnessing.log_line(Witness(home).memory().told())

    portal.hashes = logs.leaves(12)
    assert look(home, ledger, portal)
    assert kinds(ledger)[-1] == "log_holds_again"
    assert Witness(home).memory().refused is None


def test_a_cosignature_that_did_not_arrive_is_made_again(home: Home, ledger: Ledger) -> None:
    portal = LogPortal(logs.leaves(9), away=True)
    with pytest.raises(PortalUnreachable):
        look(home, ledger, portal)
    assert (Witness(home).memory().size, Witness(home).memory().cosigned) == (9, 0)
    portal.away = False
    assert not look(home, ledger, portal)
    assert list(portal.cosigned) == [9]


def test_who_cannot_read_what_they_saw_signs_nothing(home: Home, ledger: Ledger) -> None:
    portal = LogPortal(logs.leaves(9))
    look(home, ledger, portal)
    (home.path / "witness/seen.json").write_text("{")
    with pytest.raises(NodeError, match="E_HOME"):
        look(home, ledger, LogPortal(logs.leaves(4)))
    assert list(portal.cosigned) == [9]


def test_the_log_s_key_is_pinned(home: Home, ledger: Ledger) -> None:
    look(home, ledger, LogPortal(logs.leaves(9)))
    hashes = logs.leaves(12)
    other = str(NoteKey.of(logs.ORIGIN, LOG, logs.OTHER.public_key()))
    assert (
        refused(home, ledger, LogPortal(hashes, key=other, note=logs.note(hashes, key=logs.OTHER)))
        == "E_NOTE_SIGNATURE"
    )


def succeeded(hashes: list[bytes], *, by_old: bool = True) -> LogPortal:
    """A portal whose log goes on under another origin."""
    new = logs.succession().new
    note = logs.note(hashes, key=logs.OTHER, origin=new.name)
    return LogPortal(hashes, key=str(new), note=note, succession=logs.signed(logs.succession(), by_old=by_old))


def test_another_origin_is_followed_once_a_person_says_so(
    home: Home, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    look(home, ledger, LogPortal(logs.leaves(9)))
    portal = succeeded(logs.leaves(6, other_from=2))

    @contextmanager
    def opened(*_: Any) -> Iterator[LogPortal]:
        yield portal

    monkeypatch.setattr(witnessing, "open_portal", opened)
    assert refused(home, ledger, portal) == "E_LOG_ORIGIN"
    command = ["witness", "accept", "--home", str(home.path)]
    assert cli.main(command) == 1  # nobody is there to ask
    assert refused(home, ledger, portal) == "E_LOG_ORIGIN"
    assert cli.main([*command, "--yes"]) == 0
    assert "This node saw more" in capsys.readouterr().out
    assert look(home, ledger, portal)
    assert list(portal.cosigned) == [6]
    assert kinds(ledger) == ["log_pinned", "log_refused", "log_accepted"]
    [left] = (home.path / "witness").glob("left-*.json")
    assert json.loads(left.read_bytes())["note"] == logs.note(logs.leaves(9))
    assert cli.main([*command, "--yes"]) == 1  # it follows this one already
    assert "E_LOG_SUCCESSION" in capsys.readouterr().err


KILLED = """
import os, sys
from contextlib import closing
from pathlib import Path
from fedstudy_node import witness
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from tests.agent.test_witness import LogPortal
from tests.core.transparency import logs

home, step = Home.open(Path(sys.argv[1])), int(sys.argv[2])
whole = witness.write_private
calls = 0

def killed_at(path, content):
    global calls
    calls += 1
    if calls == step:
        os.kill(os.getpid(), 9)
    whole(path, content)

class Dies(LogPortal):
    def add_cosignature(self, **body):
        print(body["size"], flush=True)
        killed_at(home.path / "told", b"")

witness.write_private = killed_at
with closing(Ledger(home.ledger_path)) as ledger:
    witness.Witness(home).look(ledger, Dies(logs.leaves(30)))
"""


@pytest.mark.parametrize("step", [1, 2, 3])
def test_nothing_is_signed_that_is_not_kept_first(home: Home, ledger: Ledger, step: int) -> None:
    look(home, ledger, LogPortal(logs.leaves(9)))
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(home.path), str(step)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    kept = Witness(home).memory()
    assert kept.size == (9 if step == 1 else 30)
    assert run.stdout == ("" if step == 1 else "30\n")
    assert refused(home, ledger, LogPortal(logs.leaves(40, other_from=5))) == "E_LOG_FORK"

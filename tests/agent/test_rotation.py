"""New keys for a node: the portal and the node agree on them again, wherever the power goes in between."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core import keys
from fedstudy_core.errors import FedStudyError
from fedstudy_node import home as homes
from fedstudy_node import rotation as rotations
from fedstudy_node.home import Home, flower_public_pem
from fedstudy_node.ledger import Ledger
from fedstudy_node.portal import Portal, open_client
from fedstudy_node.rotation import KeyChange
from fedstudy_node.trust import Trust
from tests.agent import portal as portals
from tests.agent.portal import NODE, TOKEN, FakePortal
from tests.agent.test_console import Console
from tests.factories.agent import PASSPHRASE, script


class PowerCut(BaseException):
    """The machine stops here."""


@pytest.fixture
def console(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Console]:
    portal = FakePortal(script())
    with portals.serve(portal) as address:
        made = Console(tmp_path, portal, address, capsys)
        made.facts("init", "--name", "cleveland", "--passphrase-file", str(made.passphrase))
        made.facts("enrol", "--portal", made.address, "--token", TOKEN)
        yield made


class Change:
    """A node's change of keys, in this process."""

    def __init__(self, console: Console) -> None:
        self.home = Home.open(console.home)
        self.portal = console.portal
        self.client = open_client(console.address, None)
        self.ledger = Ledger(self.home.ledger_path)

    def open(self, identity: Ed25519PrivateKey) -> Portal:
        return Portal(self.client, node=NODE, identity=identity, ledger=self.ledger)

    def make(self) -> KeyChange:
        return KeyChange(self.home, self.open)

    def close(self) -> None:
        self.client.close()
        self.ledger.close()

    def connects(self) -> bool:
        """Whether the portal knows the node by the keys in use."""
        try:
            self.open(self.home.identity_key()).itself()
        except FedStudyError:
            return False
        return self.agrees()

    def agrees(self) -> bool:
        """Whether both keys in use are those that the portal holds."""
        assert self.portal.enrolment is not None
        mine = (keys.public_text(self.home.identity_key().public_key()), flower_public_pem(self.home.flower_key()))
        return mine == (self.portal.enrolment.identity_key, self.portal.enrolment.flower_key)

    def restart(self) -> None:
        """What an agent does that starts again and finds its key refused."""
        change = self.make()
        change.finish()
        if not self.connects() and change.is_open():
            change.recover()


@pytest.fixture
def change(console: Console) -> Iterator[Change]:
    made = Change(console)
    yield made
    made.close()


def test_a_node_changes_its_keys_on_the_console(console: Console) -> None:
    home = Home.open(console.home)
    before, words = home.identity_key().private_bytes_raw(), console.facts("status")["words"]
    told = console.facts("rotate")
    assert told["words"] == console.facts("status")["words"] == console.portal._itself()["words"] != words
    assert home.identity_key().private_bytes_raw() != before
    kinds = [entry["kind"] for entry in console.facts("log")["entries"]]
    assert kinds[0] == "rotated"
    left = sorted(path.name for path in (console.home / "keys").iterdir() if not path.name.startswith("approver"))
    assert left == sorted(["current", home.key_folder().name]), "the old keys are gone"
    again = console.facts("rotate")
    assert again["words"] != told["words"]


def test_every_file_of_the_keys_is_private(console: Console) -> None:
    console.facts("rotate")
    files = [path for path in (console.home / "keys").rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_frozen_node_rotates_by_a_token(console: Console) -> None:
    console.portal.state = "frozen"
    assert console.fails("rotate") == "E_PORTAL"
    assert console.facts("rotate", "--token", TOKEN)["words"]


class Cut:
    """Stops the machine before or after the nth effect on disk or at the portal."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.left, self.after = at, after

    def around(self, effect: Callable[..., Any]) -> Callable[..., Any]:
        def run(*words: Any, **more: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise PowerCut
            result = effect(*words, **more)
            if self.left == 0:
                raise PowerCut
            return result

        return run

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for module in (rotations, homes):
            patch.setattr(module, "write_private", self.around(homes.write_private))
        patch.setattr(shutil, "rmtree", self.around(shutil.rmtree))
        patch.setattr(Path, "unlink", self.around(Path.unlink))
        patch.setattr(Path, "mkdir", self.around(Path.mkdir))
        patch.setattr(Portal, "rotate", self.around(Portal.rotate))


EFFECTS = 10


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, EFFECTS + 1))
def test_a_power_cut_at_any_step_leaves_a_node_that_connects(
    change: Change, monkeypatch: pytest.MonkeyPatch, at: int, after: bool
) -> None:
    with monkeypatch.context() as patch:
        Cut(at, after=after).install(patch)
        with pytest.raises(PowerCut):
            change.make().rotate()
    change.restart()
    assert change.connects()
    words = change.make().rotate()
    assert change.connects(), "and changes its keys again"
    assert words == change.home.settings().words == change.portal._itself()["words"]
    assert not change.make().is_open()
    with closing(Ledger(change.home.ledger_path)) as ledger:
        ledger.journal.verify()


def test_there_are_no_more_steps_than_are_tried(change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        cut = Cut(10**6, after=False)
        cut.install(patch)
        change.make().rotate()
    assert 10**6 - cut.left == EFFECTS


def test_a_portal_that_never_answered_is_asked_again_with_the_same_keys(
    change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request may still be under way when the node starts again: keys that were sent are never thrown away."""
    with monkeypatch.context() as patch:
        patch.setattr(Portal, "rotate", lambda *_: (_ for _ in ()).throw(PowerCut()))
        with pytest.raises(PowerCut):
            change.make().rotate()
    change.restart()
    sent = (change.home.path / "keys/next").read_text()
    assert change.connects()
    change.make().rotate()
    assert change.home.key_folder().name == sent


def test_an_approvers_passphrase_is_changed(console: Console) -> None:
    new = console.folder / "new passphrase"
    new.write_text("another good passphrase\n")
    words = ("passphrase", "--passphrase-file", str(console.passphrase), "--new-passphrase-file")
    short = console.folder / "short"
    short.write_text("short")
    assert console.fails(*words, str(short)) == "E_PASSPHRASE"
    assert console.facts(*words, str(new))["approver"]
    trust = Trust(Home.open(console.home))
    assert trust.console_key(trust.on_console(), b"another good passphrase")
    with pytest.raises(FedStudyError, match="E_PASSPHRASE"):
        trust.console_key(trust.on_console(), PASSPHRASE)
    assert console.facts("log")["entries"][0]["kind"] == "passphrase_changed"
    assert "another good" not in json.dumps(console.facts("log"))

"""What the attacks find at each level, for root and for an ordinary account, and what the node says of it."""

import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from fedstudy_core.sandbox import bubblewrap, cgroups, choosing, landlock, levels, probes
from fedstudy_core.sandbox.levels import MUST_HOLD, Finding, Missing, Report
from tests.security import accounts
from tests.security.accounts import delegated_groups, make_python, run_as

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")]

DRIVER = str(Path(__file__).with_name("driver.py"))
GROUPS_ONLY = {"landlock", "memory_group", "process_group"}
OPEN_TO_ALL = {
    "host_file", "node_key", "other_study", "list_home", "symlink", "write_outside", "environment", "tcp", "udp", "dns",
    "unix_socket", "abstract_socket", "netlink", "ptrace", "read_memory", "signal", "host_processes", "keyring",
    "file_handle", "memfd_exec", "new_privileges", "change_script", "open_files",
}  # fmt: skip
OPEN_TO_ROOT = {"change_python", "preload", "kernel_settings", "mount", "capabilities"}


class Account:
    """Somebody who runs a node: a number, and a Python that the account may run."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        self.python = Path(sys.executable) if number == os.getuid() else make_python(folder)
        self.home = folder / f"home-{number}"
        (self.home / "keys").mkdir(parents=True)
        (self.home / "keys" / "identity.pem").write_text("a key")
        for path in (self.home, self.home / "keys", self.home / "keys" / "identity.pem"):
            os.chown(path, number, number)
            path.chmod(0o700)

    def attack(self, level: str, way: str = "anew", *, groups: tuple[Path, ...] = ()) -> Any:
        """Attack at most this level, or no sandbox at all ("none"); answer what the driver printed."""
        ended = run_as(self.number, self.python, DRIVER, level, str(self.home), way, groups=groups)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)


@pytest.fixture(scope="module", params=["root", "ordinary"])
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    """Root, where the tests run as root; and an ordinary account."""
    if request.param == "root" and os.getuid() != 0:
        pytest.skip("the tests do not run as root")
    number = 0 if request.param == "root" else (accounts.ACCOUNT if os.getuid() == 0 else os.getuid())
    with TemporaryDirectory(prefix="fedstudy-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield Account(number, folder)


def needs_bubblewrap() -> None:
    """Skip where there is no bubblewrap; continuous integration has it."""
    if bubblewrap.find() is None:
        assert not os.environ.get("CI"), "continuous integration installs bubblewrap"
        pytest.skip("bubblewrap is not installed")


WAYS = pytest.mark.parametrize("way", ["anew", "forked"])
"""How the attacker's process begins."""


def opened(found: Any) -> set[str]:
    return {name for name, finding in found["findings"].items() if finding["open"]}


def test_without_a_sandbox_the_attacks_work(account: Account) -> None:
    """Else nothing that follows proves anything."""
    found = account.attack("none")
    assert found["uid"] == account.number
    expected = OPEN_TO_ALL | (OPEN_TO_ROOT if account.number == 0 else set())
    assert expected - opened(found) == set()
    assert len(expected) >= 13


@WAYS
def test_nothing_gets_out_of_s3(account: Account, way: str) -> None:
    needs_bubblewrap()
    found = account.attack("S3", way)
    assert (found["level"], found["uid"]) == ("S3", account.number), found["missing"]
    assert found["forked"] is (way == "forked")
    assert set(found["findings"]) == set(probes.PROBES) - GROUPS_ONLY
    assert opened(found) == set()


@WAYS
def test_nothing_gets_out_of_s4(account: Account, way: str) -> None:
    needs_bubblewrap()
    if account.number == 0:
        found = account.attack("S4", way)
    elif os.getuid() == 0:
        with delegated_groups(account.number) as groups:
            found = account.attack("S4", way, groups=groups)
    else:
        pytest.skip("only root can give an ordinary account its control groups")
    assert (found["level"], found["uid"]) == ("S4", account.number), found["missing"]
    assert found["forked"] is (way == "forked")
    assert set(found["findings"]) == set(probes.PROBES)
    assert opened(found) == set()


def test_an_account_without_control_groups_is_told_which_part_of_s4_is_missing(account: Account) -> None:
    needs_bubblewrap()
    if account.number == 0:
        pytest.skip("root makes its own control groups")
    found = account.attack("S4")
    assert found["level"] == "S3"
    assert "control groups" in found["missing"][0]
    assert "Delegate=" in found["missing"][0]


@WAYS
@pytest.mark.parametrize("level", ["S0", "S1", "S2"])
def test_a_weaker_level_holds_what_it_promises_and_no_more(account: Account, level: str, way: str) -> None:
    found = account.attack(level, way)
    assert (found["level"], found["forked"]) == (level, way == "forked")
    assert opened(found) & MUST_HOLD[level] == set()
    assert "unix_socket" in opened(found)


def test_the_level_is_what_the_attacks_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One attack that gets through takes the level away, whatever is installed."""
    needs_bubblewrap()
    real = choosing.attack

    def one_gets_through(*words: Any, names: list[str], **more: Any) -> list[Finding]:
        found = real(*words, names=names, **more)
        return [Finding(item.name, open=True) if item.name == "host_processes" else item for item in found]

    monkeypatch.setattr(choosing, "attack", one_gets_through)
    sandbox = choosing.choose(tmp_path)
    assert sandbox.level == "S2"
    assert sandbox.walls.bwrap is None
    assert "host_processes" in sandbox.report.next_step()


def test_an_attack_that_was_not_made_does_not_count_as_stopped() -> None:
    found = [Finding(name, open=False) for name in MUST_HOLD["S3"] - {"tcp"}]
    assert levels.still_open("S3", found) == ["tcp"]


@pytest.mark.parametrize(
    ("absent", "level", "what", "fix"),
    [
        ("bubblewrap", "S2", "S3 is missing bubblewrap.", "apt install bubblewrap"),
        ("control groups", "S3", "S4 is missing control groups", "Delegate="),
        ("landlock", "S3", "S4 is missing Landlock", "lsm="),
        ("bubblewrap and landlock", "S1", "S2 is missing Landlock", "lsm="),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absent: str, level: str, what: str, fix: str
) -> None:
    if level == "S3":
        needs_bubblewrap()
    if "bubblewrap" in absent:
        monkeypatch.setattr(bubblewrap, "find", lambda: None)
    if "landlock" in absent:
        monkeypatch.setattr(landlock, "abi", lambda: 0)
    if "groups" in absent:
        monkeypatch.setattr(
            cgroups, "find_parents", partial(_raise, cgroups.CgroupError("there is no pids controller"))
        )
    report = choosing.choose(tmp_path).report
    if os.getuid() == 0 and absent == "control groups":
        # Limits of processes do not bind root, so that S3 wants the group of processes too.
        assert report.level == "S2"
        assert "ordinary account" in report.next_step()
        assert any(str(item).startswith(what) and fix in str(item) for item in report.missing)
        return
    assert report.level == level
    assert report.next_step().startswith(what)
    assert fix in report.next_step()


def _raise(error: Exception) -> None:
    raise error


def test_settings_may_lower_the_level_and_never_raise_it(tmp_path: Path) -> None:
    sandbox = choosing.choose(tmp_path, at_most="S1")
    assert sandbox.level == "S1"
    assert "node.toml" in sandbox.report.next_step()
    with pytest.raises(Exception, match="S7"):
        choosing.choose(tmp_path, at_most="S7")


def test_a_refusal_names_what_is_missing_up_to_the_level_that_is_asked_for() -> None:
    report = Report("S2", missing=(Missing("S3", "bubblewrap", "`apt install bubblewrap`"), Missing("S4", "groups")))
    text = report.refusal("S3")
    assert text == (
        "The site asks for sandbox S3; the node has S2. S3 is missing bubblewrap. To mend it: `apt install bubblewrap`."
    )
    assert "groups" in report.refusal("S4")

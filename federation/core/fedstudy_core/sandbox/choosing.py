"""Choosing a machine's sandbox: the strongest walls of this machine that the attacks did not get through."""

import os
import platform
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from fedstudy_core.errors import FedStudyError
from fedstudy_core.sandbox import bpf, bubblewrap, cgroups, landlock
from fedstudy_core.sandbox.forking import ForkError, ForkServer
from fedstudy_core.sandbox.launching import LaunchError, Walls, environment
from fedstudy_core.sandbox.levels import MUST_HOLD, Finding, Missing, Report, still_open
from fedstudy_core.sandbox.targets import MODULE, PATIENCE, attack
from fedstudy_core.statement import SANDBOX_LEVELS as LEVELS

INSTALL_BUBBLEWRAP = "`apt install bubblewrap` (Debian, Ubuntu) or `dnf install bubblewrap` (Fedora, RHEL)"
DELEGATE = "`Delegate=memory pids cpu` in the node's systemd unit (deploy/systemd has it)"
_NAMESPACE_SETTINGS = (
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "`sysctl -w kernel.unprivileged_userns_clone=1`"),
    ("/proc/sys/user/max_user_namespaces", "0", "`sysctl -w user.max_user_namespaces=10000`"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "an AppArmor profile that lets bwrap make user namespaces (docs/operations.md has it; Ubuntu 24.04 wants one)",
    ),
)
_CONTAINER = (
    "let this container make user namespaces and mount /proc (docs/operations.md), or run the node outside of it"
)


class NoSandbox(FedStudyError):
    """No script can be run on this machine as its settings ask (E_HOME)."""


@dataclass(frozen=True)
class Sandbox:
    """The walls that this machine puts around scripts, and what the probes found about them."""

    walls: Walls
    report: Report

    @property
    def level(self) -> str:
        """The level that held."""
        return self.report.level


BARE = Sandbox(Walls(), Report("S0"))


def choose(home: Path, *, at_most: str = "", processors: int = 0, forks: bool = False) -> Sandbox:
    """Probe from the strongest level down and return the first that holds. Takes about half a second.

    Args:
        home: the agent's home, which no script may see.
        at_most: the strongest level that the node's settings allow; empty for no bound.
        processors: most processors that one script may use; 0 for all.
        forks: see besides whether the level also holds processes that are forked (`Walls.forked`).

    Raises:
        NoSandbox: `at_most` is no level, or not even a process of its own can be started.
    """
    if at_most and at_most not in LEVELS:
        raise NoSandbox("E_HOME", f"node.toml asks for the sandbox {at_most!r}; there are {', '.join(LEVELS)}.")
    missing: list[Missing] = []
    with tempfile.TemporaryDirectory(prefix="fedstudy-probe-") as folder:
        for number, level in enumerate(reversed(LEVELS)):
            if at_most and level > at_most:
                missing.append(
                    Missing(level, "because node.toml asks for at most " + at_most, "change `sandbox` there")
                )
                continue
            found = _try(level, home, Path(folder, str(number)))
            if isinstance(found, Sandbox):
                forked = forks and _holds_forked(found, home, Path(folder, "forked"))
                most = min(processors, _all_processors()) or _all_processors()
                walls = replace(found.walls, processors=most, forked=forked)
                return Sandbox(walls, replace(found.report, missing=tuple(reversed(missing))))
            missing.append(found)
    raise NoSandbox("E_HOME", f"No script can be run on this machine. {missing[-1]}")


def _all_processors() -> int:
    return os.cpu_count() or 1


def _try(level: str, home: Path, folder: Path) -> Sandbox | Missing:
    """Put up a level's walls and attack them."""
    walls = _walls(level, home)
    if isinstance(walls, Missing):
        return walls
    try:
        findings = tuple(attack(walls, home, folder, names=sorted(MUST_HOLD[level])))
    except LaunchError as error:
        return Missing(level, f"a working start ({error})", _why_no_start(walls))
    left = still_open(level, findings)
    if not left:
        return Sandbox(walls, Report(level, findings))
    return Missing(level, f"a wall against {', '.join(left)}", _why_open(left, findings))


def _holds_forked(sandbox: Sandbox, home: Path, folder: Path) -> bool:
    """Attack the same walls from a process that is forked into them; older kernels do not let one in."""
    level, server = sandbox.level, ForkServer(environment(folder, threads=1))
    try:
        server.load((MODULE,))
        if not server.is_ready(PATIENCE):
            return False
        walls = replace(sandbox.walls, forked=True)
        findings = tuple(attack(walls, home, folder, names=sorted(MUST_HOLD[level]), server=server))
    except (LaunchError, ForkError):
        return False
    finally:
        server.close()
    return not still_open(level, findings)


def _walls(level: str, home: Path) -> Walls | Missing:
    """Return what a level is made of on this machine."""
    hidden = (home,)
    if level == "S0":
        return Walls(hidden=hidden)
    if platform.system() != "Linux" or os.uname().machine not in bpf.MACHINES:
        return Missing(level, f"a filter of system calls for {platform.system()} on {platform.machine()}")
    if level in {"S1", "S2"}:
        if level == "S2" and landlock.abi() == 0:
            return Missing(
                level, "Landlock in the kernel", "Linux 5.13 or newer, with `landlock` in the boot option `lsm=`"
            )
        return Walls(seccomp=True, landlock=level == "S2", hidden=hidden)
    bwrap = bubblewrap.find()
    if bwrap is None:
        return Missing(level, "bubblewrap", INSTALL_BUBBLEWRAP)
    try:
        groups = cgroups.prepare(cgroups.find_parents())
    except cgroups.CgroupError as error:
        groups, no_groups = None, str(error)
    if level == "S4":
        if groups is None:
            return Missing(level, f"control groups: {no_groups}", DELEGATE)
        if landlock.abi() == 0:
            return Missing(
                level, "Landlock in the kernel", "Linux 5.13 or newer, with `landlock` in the boot option `lsm=`"
            )
    return Walls(seccomp=True, landlock=level == "S4", bwrap=bwrap, groups=groups, hidden=hidden)


def _why_no_start(walls: Walls) -> str:
    """Name what most likely keeps bubblewrap from starting."""
    if walls.bwrap is None:
        return ""
    for path, value, fix in _NAMESPACE_SETTINGS:
        setting = Path(path)
        if setting.exists() and setting.read_text().strip() == value:
            return fix
    return _CONTAINER if _in_container() else "look at what bwrap says"


def _in_container() -> bool:
    return Path("/.dockerenv").exists() or Path("/run/.containerenv").exists()


def _why_open(left: list[str], findings: tuple[Finding, ...]) -> str:
    if left == ["fork_limit"]:
        return "run the node as an ordinary account: limits of processes do not bind root"
    if {"memory_group", "process_group"} & set(left):
        return DELEGATE
    return "" if findings else "look at the agent's log"

"""The levels, what each needs, and what is missing at a node for the next one.

| level | what stands |
|---|---|
| S0 | a process of its own with an empty environment and resource limits |
| S1 | and a filter of system calls: no network, no new privileges |
| S2 | and Landlock: no file but what it was given |
| S3 | bubblewrap: own namespaces, a root of its own, no capabilities; and the filter |
| S4 | S3, Landlock inside it, and a control group for memory, processes and processor time |
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from fedstudy_core.statement import SANDBOX_LEVELS

_KERNEL = frozenset(
    {
        "tcp", "udp", "dns", "netlink", "packet", "ptrace", "read_memory", "take_descriptor", "user_namespace",
        "clone_namespace", "mount", "keyring", "io_uring", "bpf", "perf", "userfaultfd", "file_handle", "memfd_exec",
        "terminal_input", "new_privileges",
    }
)  # fmt: skip
_FILES = frozenset(
    {
        "host_file", "node_key", "other_study", "list_home", "write_outside", "change_script", "change_python",
        "preload", "kernel_settings", "devices", "symlink", "environment",
    }
)  # fmt: skip
_ELSE = frozenset({"unix_socket", "abstract_socket", "signal", "host_processes", "fork_limit", "capabilities"})
_BOUNDS = frozenset({"landlock", "memory_group", "process_group"})
_LIMITS = frozenset({"file_limit", "descriptor_limit", "core_dump", "open_files"})

MUST_HOLD: dict[str, frozenset[str]] = {
    "S0": _LIMITS,
    "S1": _LIMITS | _KERNEL,
    "S2": _LIMITS | _KERNEL | _FILES,
    "S3": _LIMITS | _KERNEL | _FILES | _ELSE,
    "S4": _LIMITS | _KERNEL | _FILES | _ELSE | _BOUNDS,
}


@dataclass(frozen=True)
class Finding:
    """What one probe found: `open` means that the attack worked."""

    name: str
    open: bool
    detail: str = ""


@dataclass(frozen=True)
class Missing:
    """Why a level is not reached, and the command or change that mends it ("" when none is known)."""

    level: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        """One sentence or two."""
        return f"{self.level} is missing {self.what}." + (f" To mend it: {self.fix}." if self.fix else "")


@dataclass(frozen=True)
class Report:
    """What the probes found at a node.

    Attributes:
        level: the strongest level that held.
        findings: the probes' findings at that level.
        missing: what keeps the node from each level above it, weakest level first.
    """

    level: str
    findings: tuple[Finding, ...] = ()
    missing: tuple[Missing, ...] = field(default=())

    def offers(self, level: str) -> bool:
        """Whether the node's level is this one or stronger."""
        return level in SANDBOX_LEVELS and self.level >= level

    def next_step(self) -> str:
        """Say what the next level needs; empty at the strongest."""
        return str(self.missing[0]) if self.missing else ""

    def refusal(self, wanted: str) -> str:
        """Say why a script that asks for a stronger level is refused, and what mends it."""
        reasons = [str(item) for item in self.missing if item.level <= wanted]
        return " ".join([f"The site asks for sandbox {wanted}; the node has {self.level}.", *reasons])


NOT_PROBED = Report("S0")


def still_open(level: str, findings: Collection[Finding]) -> list[str]:
    """Return the probes that a level must stop and did not, or that did not answer."""
    stopped = {finding.name for finding in findings if not finding.open}
    return sorted(MUST_HOLD[level] - stopped)

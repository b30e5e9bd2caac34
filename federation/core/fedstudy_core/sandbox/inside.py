"""The first steps of a process that runs a script: take the pipe, give up what the plan says, keep to its limits."""

import ctypes
import os
import resource
import signal
import sys

from fedstudy_core.sandbox.confining import confine, read_plan

_PR_SET_PDEATHSIG = 1


def enter(plan_text: str) -> tuple[int, int]:
    """Put up the walls of a plan around this process; return the descriptors of the pipe, for reading and writing."""
    plan = read_plan(plan_text)
    pipe = _take_pipe()
    if plan.parent:
        die_with_parent(plan.parent)
    confine(plan)
    return pipe


def limit_work(megabytes: int, seconds: int) -> None:
    """Bound the memory that this process may write to, and the processor time of its whole life. 0 is no bound."""
    if megabytes > 0:
        limit = megabytes * 1024**2
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    if seconds > 0:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def limit_torch(threads: int) -> None:
    """Keep torch, where the script imported it, to its share of the machine."""
    torch = sys.modules.get("torch")
    if torch is not None and threads > 0:
        torch.set_num_threads(threads)


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when the one that started it ends, however that ends (Linux)."""
    die_with_maker()
    if os.getppid() != parent:
        sys.exit("the process that started this one is gone")


def die_with_maker() -> None:
    """The same, without a look whether it has ended already: in namespaces of its own a process does not see it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _take_pipe() -> tuple[int, int]:
    """Move the pipe away from standard input and output, so that the script's prints cannot reach it."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return incoming, outgoing

"""The sandbox of this machine, probed once, and a fork server."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from fedstudy_core.sandbox.bubblewrap import SCRATCH
from fedstudy_core.sandbox.choosing import Sandbox, choose
from fedstudy_core.sandbox.forking import ForkServer
from fedstudy_core.sandbox.launching import environment
from fedstudy_node.preloading import ALWAYS


@cache
def sandbox(at_most: str = "") -> Sandbox:
    """The strongest sandbox that this machine offers, up to a level."""
    with TemporaryDirectory(prefix="fedstudy-test-") as folder:
        return choose(Path(folder), at_most=at_most, forks=True)


@cache
def fork_server() -> ForkServer:
    """A fork server for scripts, which ends with the tests."""
    made = ForkServer(environment(SCRATCH, threads=1))
    made.load(ALWAYS)
    assert made.is_ready(60)
    return made

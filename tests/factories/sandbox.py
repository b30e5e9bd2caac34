"""The sandbox of this machine, probed once."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from fedstudy_core.sandbox.choosing import Sandbox, choose


@cache
def sandbox(at_most: str = "") -> Sandbox:
    """The strongest sandbox that this machine offers, up to a level."""
    with TemporaryDirectory(prefix="fedstudy-test-") as folder:
        return choose(Path(folder), at_most=at_most)

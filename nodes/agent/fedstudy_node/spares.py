"""A process that waits behind the walls for a run, with what its script will import already imported.

Importing torch takes seconds: nearly the whole start of a run. While the node is idle it keeps one such process for the
script and dataset that its people approved last. Nothing of a script is in it, and it serves one run only.
"""

import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from fedstudy_core import bundle as bundles
from fedstudy_core.errors import FedStudyError
from fedstudy_core.sandbox.cgroups import CgroupError
from fedstudy_core.sandbox.choosing import Sandbox
from fedstudy_core.sandbox.launching import LaunchError
from fedstudy_node.approvals import Approvals
from fedstudy_node.children import Child
from fedstudy_node.datasets import Datasets
from fedstudy_node.folders import remove_folder
from fedstudy_node.home import Home

log = structlog.get_logger()

LOOK_AGAIN = 2.0
# Distributions that scripts name as what they need, and the module that is worth importing early.
WORTH_WAITING = {
    "pandas": "pandas",
    "scikit-learn": "sklearn",
    "scipy": "scipy",
    "torch": "torch",
    "xgboost": "xgboost",
}
_NAME = re.compile(r"[a-z0-9._-]+")


@dataclass(frozen=True)
class Need:
    """What the script that was approved last will need: the file it reads, the modules it imports."""

    dataset: Path
    modules: tuple[str, ...]


@dataclass(frozen=True)
class Spare:
    """A waiting process in its folder."""

    child: Child
    slot: Path
    need: Need


class Spares:
    """Keeps at most one waiting process."""

    def __init__(self, home: Home, sandbox: Sandbox, *, threads: int) -> None:
        self._home = home
        self._sandbox = sandbox
        self._threads = threads
        self._spare: Spare | None = None
        self._look_at = 0.0

    def prepare(self) -> None:
        """See to it that the process waits that would be needed next; one for an older need is ended."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_AGAIN
        need = self._need()
        if self._spare is not None and (self._spare.need != need or not self._spare.child.is_alive()):
            self.close()
        if self._spare is None and need is not None:
            self._spare = self._start(need)

    def take(self, dataset: Path) -> Spare | None:
        """Hand out the waiting process if it lives and reads this dataset; it is the caller's from then on.

        One that does not fit ends: beside a run it would only take memory.
        """
        spare = self._spare
        if spare is None or spare.need.dataset != dataset or not spare.child.is_alive():
            self.close()
            return None
        self._spare = None
        return spare

    def close(self) -> None:
        """End the waiting process."""
        if self._spare is not None:
            self._spare.child.kill()
            remove_folder(self._spare.slot)
            self._spare = None

    def _need(self) -> Need | None:
        now = datetime.now(UTC).isoformat()
        for signed in Approvals(self._home).all():
            if signed.decision != "approved" or signed.not_after < now:
                continue
            try:
                dataset = Datasets(self._home).get(signed.dataset)
                fab = (self._home.bundles_path / f"{signed.script_sha256}.fab").read_bytes()
                return Need(Path(dataset.path), _modules(bundles.inspect(fab).dependencies))
            except (FedStudyError, OSError):
                continue  # approved, but the dataset or the script is not here any more
        return None

    def _start(self, need: Need) -> Spare | None:
        slot = self._home.work_path / f"spare-{secrets.token_hex(4)}"
        slot.mkdir(mode=0o700)
        walls = self._sandbox.walls
        try:
            child = Child.start(walls, slot=slot, dataset=need.dataset, threads=self._threads, modules=need.modules)
        except (LaunchError, CgroupError) as error:
            log.warning("no_spare", error=str(error))
            remove_folder(slot)
            return None
        return Spare(child, slot, need)


def _modules(dependencies: tuple[str, ...]) -> tuple[str, ...]:
    """The modules worth importing among the distributions that a script names ("torch>=2.4")."""
    names = {name.group() for text in dependencies if (name := _NAME.match(text.strip().lower()))}
    return tuple(module for distribution, module in WORTH_WAITING.items() if distribution in names)

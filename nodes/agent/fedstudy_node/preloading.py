"""The fork server of a node: it has imported what approved scripts will import, before a run begins.

Importing torch takes seconds: nearly the whole start of a run. While the agent is connected it sees to it that one
process has done so for the scripts that the site's people approved; each run's is forked from that (`sandbox.forking`).
"""

import re
import time
from datetime import UTC, datetime

import structlog

from fedstudy_core import bundle as bundles
from fedstudy_core.archives import read_archive
from fedstudy_core.errors import FedStudyError
from fedstudy_core.sandbox.bubblewrap import SCRATCH
from fedstudy_core.sandbox.forking import ForkError, ForkServer
from fedstudy_core.sandbox.launching import environment
from fedstudy_node.approvals import Approvals
from fedstudy_node.home import Home

log = structlog.get_logger()

LOOK_AGAIN = 2.0
ALWAYS = (
    "fedstudy_node.child",
    "fedstudy_core.flower",
    "fedstudy_node.tables",
    "flwr.clientapp",
    "flwr.common.serde",
    "flwr.supercore.object_ref",
)
# Distributions that scripts name as what they need, and the module that is worth importing early.
WORTH_WAITING = {
    "pandas": "pandas",
    "scikit-learn": "sklearn",
    "scipy": "scipy",
    "torch": "torch",
    "xgboost": "xgboost",
}
# What torch itself imports when a script makes its first optimizer: as much again as torch.
OF_OPTIMIZERS = "torch._dynamo"
_NAME = re.compile(r"[a-z0-9._-]+")
_OPTIMIZERS = re.compile(rb"\boptim\b")


class Preloading:
    """Keeps the node's fork server."""

    def __init__(self, home: Home, *, threads: int) -> None:
        """`threads` is a script's share of the processors, for libraries that ask when they are imported."""
        self._home = home
        self._threads = threads
        self._look_at = 0.0
        self._modules: dict[str, tuple[str, ...]] = {}  # by the SHA-256 of the script that names them
        self.server: ForkServer | None = None

    def prepare(self) -> None:
        """See to it that what approved scripts will need is imported, or being imported; none is needed without any."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_AGAIN
        modules = self._needed()
        if modules is None:
            return
        if self.server is not None and not self.server.is_alive():
            log.warning("fork_server_ended")
            self.close()
        if self.server is None:
            self.server = ForkServer(environment(SCRATCH, self._threads))
        try:
            self.server.load((*ALWAYS, *modules))
        except ForkError as error:  # the next look starts another
            log.warning("fork_server_ended", error=str(error))

    def for_a_run(self) -> ForkServer | None:
        """Return the server to fork a run from that starts now; it is told of scripts approved since the last look."""
        self._look_at = 0.0
        self.prepare()
        return self.server

    def close(self) -> None:
        """End the server, and with it what it forked."""
        if self.server is not None:
            self.server.close()
            self.server = None

    def _needed(self) -> tuple[str, ...] | None:
        """The modules that approved scripts name; None when no script is approved."""
        now = datetime.now(UTC).isoformat()
        approved = [one for one in Approvals(self._home).all() if one.decision == "approved" and one.not_after >= now]
        if not approved:
            return None
        found: set[str] = set()
        for script in {one.script_sha256 for one in approved}:
            try:
                found.update(self._modules_of(script))
            except (FedStudyError, OSError):
                continue  # approved, but not here any more
        return tuple(sorted(found))

    def _modules_of(self, script: str) -> tuple[str, ...]:
        """The modules that a script needs; its bytes are inspected once, which takes longer than a round's work."""
        if script not in self._modules:
            fab = (self._home.bundles_path / f"{script}.fab").read_bytes()
            self._modules[script] = modules_of(fab)
        return self._modules[script]


def modules_of(fab: bytes) -> tuple[str, ...]:
    """The modules worth importing early for a script.

    They are those of the distributions that it names ("torch>=2.4"), and what torch needs for optimizers where one of
    its files speaks of them. Raises the refusals of `bundle.inspect`.
    """
    names = {name.group() for text in bundles.inspect(fab).dependencies if (name := _NAME.match(text.strip().lower()))}
    modules = tuple(module for distribution, module in WORTH_WAITING.items() if distribution in names)
    sources = [content for path, content in read_archive(fab).items() if path.endswith(".py")]
    if "torch" in modules and any(_OPTIMIZERS.search(source) for source in sources):
        return (*modules, OF_OPTIMIZERS)
    return modules

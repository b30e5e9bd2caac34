"""The runs under way at this node: each one's script as received, its process, and what that is working on."""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from fedstudy_core import bundle as bundles
from fedstudy_core import flower
from fedstudy_core.errands import Answer, join_answers
from fedstudy_core.flower import Order
from fedstudy_core.packages import refuse_without_packages
from fedstudy_core.sandbox.cgroups import Ceiling, CgroupError
from fedstudy_core.sandbox.choosing import Sandbox
from fedstudy_core.sandbox.frames import Frame
from fedstudy_core.sandbox.launching import PROCESSES, LaunchError
from fedstudy_node.accounting import Asked
from fedstudy_node.children import Child
from fedstudy_node.egress import ARRAYS, Allowance
from fedstudy_node.errors import NodeError
from fedstudy_node.flower import Incoming, Outgoing, RecordDict, RunInfo, context_bytes, refuse, reply_to
from fedstudy_node.folders import remove_folder
from fedstudy_node.gate import THIS_NODE, Permit, Script
from fedstudy_node.home import Home
from fedstudy_node.node_config import Value, for_drawing, for_script
from fedstudy_node.preloading import Preloading
from fedstudy_node.replies import model_of, model_sha256

_FRAME_SLACK = 1024 * 1024
_MESSAGES_A_ROUND = 3


class RunSource(Protocol):
    """Where runs and their scripts come from (the fleet connection)."""

    @property
    def node_id(self) -> int:
        """The node's number at the SuperLink."""

    def get_run(self, run_id: int) -> RunInfo:
        """Return a run."""

    def get_fab(self, run: RunInfo) -> bytes:
        """Return the bytes of its script."""


@dataclass(frozen=True)
class Job:
    """One errand that the script is working on.

    Attributes:
        digest: of the approval and the content: the same errand asked again is answered from memory.
        deadline: on the monotonic clock.
    """

    call: int
    asked: Asked
    order: Order
    permit: Permit
    allowance: Allowance
    digest: str
    deadline: float


@dataclass
class Visit:
    """A message that is being answered: its errands that are left, the answers so far, how long the script worked."""

    incoming: Incoming
    errands: deque[tuple[Order, RecordDict]] = field(default_factory=deque)
    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0
    _model: tuple[object, str | None] = (None, None)

    def digest_of_model(self, content: RecordDict) -> str | None:
        """Return the digest of the model in an errand's content; where two errands have the same it is computed once.

        Raises Refusal (E_ORDER).
        """
        record = content.get(ARRAYS)
        if record is None or record is not self._model[0]:
            self._model = (record, model_sha256(model_of(content)))
        return self._model[1]

    def wanted_again(self, content: RecordDict) -> frozenset[str]:
        """Return the names of the arrays' records that the next errand has as well."""
        following = self.errands[0][1] if self.errands else RecordDict()
        return frozenset(name for name, record in content.array_records.items() if following.get(name) is record)

    def reply(self) -> Outgoing:
        """The reply, once all errands are answered."""
        *before, main = self.answers
        beside = None
        if main.packed is not None and not main.packed.is_small:
            beside = (main.packed, flower.ticket_of(self.incoming.content))
        if before:
            content = join_answers(before[0], main)
        elif main.packed is not None:
            content = flower.wrap_reply(main.packed, main.receipt)
        else:
            return refuse(self.incoming, main.error)
        return reply_to(self.incoming, content, self.seconds, beside)


@dataclass
class ActiveRun:
    """A run of the SuperLink that sent a message to this node."""

    info: RunInfo
    fab: bytes
    folder: Path
    named: str = ""  # the study's run, as the last good order named it
    child: Child | None = None
    permit: Permit | None = None
    state: bytes | None = None
    visit: Visit | None = None
    job: Job | None = None
    waiting: deque[Incoming] = field(default_factory=deque)
    calls: int = 0
    has_packages: bool = False
    checked_at: float = field(default_factory=time.monotonic)
    used_at: float = field(default_factory=time.monotonic)

    @property
    def at_hand(self) -> Visit:
        """The message that is being answered; there is one whenever the script is at work."""
        if self.visit is None:
            raise RuntimeError("no message is being answered")
        return self.visit

    @cached_property
    def script(self) -> Script:
        """The script for the gate: hashed here, from the bytes that came."""
        return Script(
            sha256(self.fab).hexdigest(),
            len(self.fab),
            self.config,
            server=lambda: self.bundle.declaration.server,
            packages=self.check_packages,
        )

    @cached_property
    def bundle(self) -> bundles.Bundle:
        """The opened bundle. Raises Refusal (E_BUNDLE_*)."""
        return bundles.inspect(self.fab)

    def check_packages(self) -> None:
        """Raise Refusal (E_DEPENDENCY) where this node lacks a package that the ClientApp needs, until it has them."""
        if not self.has_packages:
            refuse_without_packages(self.fab, "client", THIS_NODE)
            self.has_packages = True

    def config(self) -> Mapping[str, bool | float | int | str]:
        """The run's configuration: the script's defaults, overridden by the run."""
        return {**self.bundle.default_config, **self.info.override_config}


class Runs:
    """All runs under way, and the starting and ending of their processes."""

    def __init__(self, home: Home, source: RunSource, sandbox: Sandbox, preloading: Preloading | None = None) -> None:
        """Without `preloading`, or walls for what it forks, each process starts anew."""
        self._home = home
        self._source = source
        self.sandbox = sandbox
        self._torch_threads = home.settings().torch_threads
        self._preloading = preloading if sandbox.walls.forked else None
        self._runs: dict[int, ActiveRun] = {}
        remove_folder(home.work_path)  # what a crash left
        home.work_path.mkdir(mode=0o700)

    def __iter__(self) -> Iterator[ActiveRun]:
        return iter(list(self._runs.values()))

    def __len__(self) -> int:
        return len(self._runs)

    def get(self, run_id: int) -> ActiveRun:
        """Return a run; at first sight fetch it and its script. Raises FleetError."""
        run = self._runs.get(run_id)
        if run is None:
            info = self._source.get_run(run_id)
            run = ActiveRun(info, self._source.get_fab(info), self._home.work_path / str(run_id))
            self._runs[run_id] = run
        run.used_at = time.monotonic()
        return run

    def start_child(self, run: ActiveRun, permit: Permit) -> Child:
        """Return the run's process, started for this permit.

        A process that was started for another approval or dataset is ended first, and what the script kept under it is
        forgotten: nothing of one dataset is at hand under the approval of another.
        """
        if run.child is not None and run.permit == permit:
            return run.child
        if run.permit not in (None, permit):
            self.stop_child(run)
            run.state = None
        run.permit = permit
        dataset = Path(permit.dataset.path)
        child = self._launch(run, permit, dataset)
        bundles.unpack(run.fab, run.folder / "app" / "script")
        view = self.sandbox.walls.view(run.folder, dataset)
        node_config = self._node_config(run, permit, view.dataset or dataset)
        limits, rounds = permit.statement.limits, permit.statement.rounds
        header = {
            "kind": "load",
            "bundle": str(view.app / "script"),
            "memory_mb": limits.memory_mb,
            "cpu_s": limits.wall_s * max(self._torch_threads, 1) * _MESSAGES_A_ROUND * (rounds + 1),
            "torch_threads": self._torch_threads,
        }
        child.send(Frame(header, context_bytes(run.info, self._source.node_id, node_config, run.config(), run.state)))
        return child

    def _node_config(self, run: ActiveRun, permit: Permit, path: Path) -> dict[str, Value]:
        """What the script finds in `context.node_config`; `path` is the dataset's in the sandbox."""
        dataset = permit.dataset
        named = (dataset.study, dataset.id, permit.statement.dataset.fingerprint)
        drawing = for_drawing(run.bundle.declaration, self._home.drawing_secret, *named)
        return {**for_script(dataset.config, path, dataset.format), **drawing}

    def _launch(self, run: ActiveRun, permit: Permit, dataset: Path) -> Child:
        """Start a run's process behind the sandbox's walls. Raises NodeError (E_SANDBOX)."""
        walls = self.sandbox.walls
        server = self._preloading.for_a_run() if self._preloading else None
        remove_folder(run.folder)
        try:
            run.child = Child.start(walls, slot=run.folder, dataset=dataset, threads=self._torch_threads, server=server)
            run.child.serve(self._log_file(run), permit.statement.outputs.max_bytes + _FRAME_SLACK)
            run.child.limit(Ceiling(permit.statement.limits.memory_mb, PROCESSES, walls.processors))
        except (LaunchError, CgroupError) as error:
            self.stop_child(run)
            raise NodeError("E_SANDBOX", f"The sandbox {self.sandbox.level} could not be put up: {error}.") from error
        return run.child

    def stop_child(self, run: ActiveRun) -> None:
        """End a run's process; what the script kept so far is handed to the next one."""
        if run.child is not None:
            run.child.kill()
            run.child = None
        run.job = None

    def end(self, run: ActiveRun) -> None:
        """End a run: its process, its unpacked script, its place here."""
        self.stop_child(run)
        remove_folder(run.folder)
        self._runs.pop(run.info.run_id, None)

    def end_all(self) -> None:
        """End everything."""
        for run in list(self._runs.values()):
            self.end(run)
        if self._preloading:
            self._preloading.close()

    def preload(self) -> None:
        """Have imported what the scripts of coming runs will import."""
        if self._preloading:
            self._preloading.prepare()

    def _log_file(self, run: ActiveRun) -> Path:
        folder = self._home.path / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / f"run-{run.info.run_id}.log"

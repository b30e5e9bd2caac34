"""The engine of a run whose script brings its own ServerApp: the app asks, the engine carries, checks and records.

Each exchange (messages of one type that go out together, and their answers) is a round with participations, receipts
and its audit event. The app runs in a process of its own behind walls (`federation.serverapps`) and cannot be stored,
so whoever takes the run over starts it again and hands it the recorded answers, as long as it asks what was recorded;
when it asks something else, the run fails (E_SERVER_APP_REPLAY).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone
from flwr.app import MetricRecord

from federation.runs import engine, journal, participants, server_journal
from federation.runs.engine import Engine, RoundFailed
from federation.runs.journal import Artifact
from federation.runs.lease import Fenced, Lease
from federation.runs.messages import ARRAYS
from federation.runs.models import Attempt, Participation, Round, Run
from federation.runs.participants import RollCall
from federation.runs.phases import EVALUATE, TRAIN, Phase
from federation.runs.relay import Batch, Relay, batches, node_number
from federation.runs.server_journal import KeptFile
from federation.runs.storage import file_store, model_store, server_app_folder, server_app_log
from federation.serverapps.machine import Bounds, sandbox_for
from federation.serverapps.process import Left, Pull, Pushed, ServerAppProcess
from fedstudy_core import flower as records
from fedstudy_core.artifacts import decode_arrays, encode_arrays
from fedstudy_core.errors import Refusal
from fedstudy_core.levels import allows
from fedstudy_core.packages import refuse_without_packages
from fedstudy_core.serverapp.files import OTHER, PARAMETERS, LeftFile
from fedstudy_core.updates import check_metrics, schema_of

log = structlog.get_logger(__name__)

LISTEN_S = 0.25
RENEW_S = 5.0
CENTRE_NODE = 1
CENTRE = "centre"
KINDS = {"train_metrics_clientapp": TRAIN, "evaluate_metrics_clientapp": EVALUATE, "evaluate_metrics_serverapp": CENTRE}
METRICS_FILE, LOG_FILE = "metrics.json", "server-app.log"


def lead(lease: Lease) -> None:
    """Lead the run until it is over, or until somebody else does."""
    leader = Leader(lease, engine.superlink())
    in_order = False
    try:
        while (pause := leader.work(math.inf)) is not None:
            time.sleep(pause)
        in_order = True
    except Fenced:
        log.info("run_taken_over", run=str(lease.run_id))
    finally:
        leader.close()
        leader.end_app()
        lease.release(in_order=in_order)
        run = Run.objects.get(pk=lease.run_id)
        if run.is_final:
            _keep_log(run)


def _keep_log(run: Run) -> None:
    """Keep what the app printed with the run; no app ever saw anything but what the sites released."""
    printed = server_app_log(run)
    if printed.exists():
        content = printed.read_bytes()
        if content:
            server_journal.keep_log(run, KeptFile(LOG_FILE, OTHER, file_store().put(content), len(content)))
        printed.unlink()


@dataclass
class Leader(Engine):
    """Drives a run by what its ServerApp asks, while it holds the lease."""

    number: int = 0
    round: Round | None = None
    batch: Batch | None = None
    pending: list[Batch] = field(default_factory=list)
    sent: dict[str, tuple[int, int]] = field(default_factory=dict)
    renewed_at: float = field(default_factory=time.monotonic)
    app: ServerAppProcess | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.aggregator = self.relay = Relay(self.run)
        self.sites = list(self.run.participants.order_by("position"))
        self.recorded = {item.number: item for item in self.run.round_set.exclude(state="failed")}

    def end_app(self) -> None:
        """End the ServerApp's process, if it runs."""
        if self.app is not None:
            self.app.end()
            self.app = None

    def step(self) -> float | None:
        """Do the next thing; answer how long to wait after it (None: the run is over)."""
        if time.monotonic() - self.looked_at > engine.LOOK_AT_RUN_S:
            self._look_at_run()
        if time.monotonic() - self.renewed_at > RENEW_S:
            self.lease.hold()
            self.renewed_at = time.monotonic()
        if self.run.state == "waiting":
            return self._begin()
        attempt = self._attempt()
        if self.round is not None and self.batch is not None:
            return self._step_exchange(self.round, self.batch)
        if self.run.state == "pausing":
            self._leave(attempt, journal.pause_run)
            return None
        if self.pending:
            return self._begin_exchange(self.pending.pop(0))
        return self._listen(attempt)

    def _listen(self, attempt: Attempt) -> float | None:
        """Hear what the app asks for next; so long as it computes, come back soon."""
        app = self._running_app()
        match app.next(LISTEN_S):
            case Pushed(messages, timeout_s):
                self.pending = batches(messages, timeout_s, len(self.sites))
            case Pull(ids):
                for message_id in ids:
                    self._answer(app, message_id)
            case Left(result, files):
                self._finish(attempt, result, files)
                return None
        return 0.0

    def _running_app(self) -> ServerAppProcess:
        if self.app is None:
            run = self.run
            refuse_without_packages(bytes(run.version.bundle), "server", "The portal's server")
            sandbox = sandbox_for(settings.FEDSTUDY_DATA_DIR, settings.FEDSTUDY_SERVER_APP_SANDBOX)
            self.number, self.sent = 0, {}
            self.app = ServerAppProcess.start(
                sandbox,
                Bounds(memory_mb=settings.FEDSTUDY_SERVER_APP_MEMORY_MB),
                folder=server_app_folder(run),
                log=server_app_log(run),
                fab=bytes(run.version.bundle),
                context=records.server_context(run.pk.int >> 65, CENTRE_NODE, run.config),
                seed=run.pk.int & 0xFFFFFFFF,
                nodes=[node_number(item) for item in self.sites],
            )
        return self.app

    def _begin_exchange(self, batch: Batch) -> float:
        """Begin what the app asks, unless it is recorded already: then its answers are at hand.

        Raises:
            Refusal: E_SERVER_APP_REPLAY, E_SERVER_APP_LIMIT.
        """
        self.number += 1
        self.sent |= {message.id: (self.number, position) for position, message in batch.messages.items()}
        known = self.recorded.get(self.number)
        if known is not None and known.asked_sha256 != batch.sha256:
            detail = f"Started again, the ServerApp asked something else in exchange {self.number}; fix its seeds."
            raise Refusal("E_SERVER_APP_REPLAY", detail)
        if known is not None and known.state == "committed":
            return 0.0
        if self.number > self.run.rounds:
            detail = f"The ServerApp asks for exchange {self.number}; the run allows {self.run.rounds}."
            raise Refusal("E_SERVER_APP_LIMIT", detail)
        if known is None:
            known = server_journal.open_exchange(self.lease, self.run, self.number, batch.sha256)
            self.recorded[self.number] = known
        else:
            known.refresh_from_db(fields=["deadline_at"])  # later where the run was without a driver
        known.run = self.run
        self.sites = list(self.run.participants.order_by("position"))  # a level may have fallen meanwhile
        self.relay.begin(batch)
        self.round, self.batch = known, batch
        return 0.0

    def _step_exchange(self, round_: Round, batch: Batch) -> float:
        exchange = self._exchange()
        phase = Phase(batch.message_type, batch.message_type)
        able = sum(allows(self.sites[position].level, phase.wire_name) for position in batch.messages)
        needed = max(min(self.run.quorum, able), 1)
        if not round_.phase:
            self._ask(round_, batch, phase, needed)
        if exchange.goes_on(round_, phase, needed):
            moved = exchange.send_and_collect(round_, phase)
            self.heard_at = time.monotonic()
            return self.pace.next_pause(round_, moved=moved)
        exchange.give_up_on_awaited(round_, phase)
        rows = exchange.rows(round_)
        done = [item for item in rows if item.state == "done"]
        if len(done) < needed:
            why = participants.explain_shortfall(round_, len(done), needed)
            raise RoundFailed(participants.shortfall_code(rows), why)
        server_journal.commit_exchange(self.lease, round_, self.relay.summary(done))
        exchange.forget()
        self.round = self.batch = None
        return 0.0

    def _ask(self, round_: Round, batch: Batch, phase: Phase, needed: int) -> None:
        everyone = participants.roll_call(self.run, round_, phase)
        call = RollCall(
            [item for item in everyone.present if item.position in batch.messages],
            {item: code for item, code in everyone.absent.items() if item.position in batch.messages},
        )
        deadline = participants.new_deadline(self.run, round_)
        if batch.timeout_s is not None:
            deadline = min(deadline, timezone.now() + timedelta(seconds=batch.timeout_s))
        self._exchange().begin(round_, journal.open_phase(self.lease, round_, phase, deadline, call, needed=needed))

    def _answer(self, app: ServerAppProcess, message_id: str) -> None:
        """Hand the app a site's answer to one of its messages, or the code that says why there is none."""
        number, position = self.sent[message_id]
        item = Participation.objects.get(
            round__run=self.run, round=self.recorded[number].pk, participant__position=position
        )
        if item.state == "done":
            app.reply(message_id, self.relay.kept(item))
        else:
            app.reply(message_id, b"", item.code, item.state)

    def _finish(self, attempt: Attempt, result: bytes, files: tuple[LeftFile, ...]) -> None:
        """Keep what the app left, and end the run."""
        if self.number + 1 not in self.recorded:
            left = _Leavings.of(result, files)
            metrics = left.last_metrics or self._last_summary()
            server_journal.keep_leavings(
                self.lease, self.run, self.number + 1, metrics=metrics, artifact=left.artifact(), files=left.keep()
            )
        self.end_app()
        _keep_log(self.run)
        self._leave(attempt, journal.complete_run)

    def _last_summary(self) -> dict[str, Any]:
        """The sites' metrics of the last exchange, where the app's strategy told none."""
        last = Round.objects.filter(run=self.run, state="committed").order_by("number").last()
        return dict(last.metrics) if last else {}


@dataclass(frozen=True)
class _Leavings:
    """What an app left, checked.

    Attributes:
        parameters: as safetensors; b"" where it left none.
        metrics: what its strategy told, by kind and round.
    """

    parameters: bytes
    metrics: Mapping[str, Mapping[int, Mapping[str, Any]]]
    files: tuple[LeftFile, ...]

    @classmethod
    def of(cls, result: bytes, files: tuple[LeftFile, ...]) -> _Leavings:
        """Read what came from the app's process. Raises Refusal for what is not of the agreed form, or not finite."""
        content = records.unpack(result) if result else {}
        metrics: dict[str, dict[int, dict[str, Any]]] = {}
        for name, record in content.items():
            kind, _, number = name.partition(".")
            if isinstance(record, MetricRecord) and kind in KINDS and number.isdecimal():
                check_metrics(dict(record))
                metrics.setdefault(KINDS[kind], {})[int(number)] = dict(record)
        arrays = records.arrays_of(content[ARRAYS]) if content and content[ARRAYS] else {}  # type: ignore[arg-type]
        kept = [file for file in files if file.form == PARAMETERS]
        named = [file for file in kept if "model" in file.name.lower()]
        parameters = encode_arrays(arrays) if arrays else next((file.content for file in (*named, *kept)), b"")
        return cls(parameters, metrics, files)

    @property
    def last_metrics(self) -> dict[str, Any]:
        """The last metrics of each kind."""
        return {kind: by_round[max(by_round)] for kind, by_round in self.metrics.items()}

    def artifact(self) -> Artifact | None:
        """The model that it left, in the store; None where it left none. Raises Refusal (E_ARTIFACT)."""
        if not self.parameters:
            return None
        arrays = decode_arrays(self.parameters)
        return Artifact(model_store().put(self.parameters), len(self.parameters), schema_of(arrays))

    def keep(self) -> list[KeptFile]:
        """Its files in the store, and the metrics of all rounds as one more."""
        files = {file.name: file for file in self.files}
        if self.metrics:
            told = json.dumps(self.metrics, indent=1, sort_keys=True).encode()
            files[METRICS_FILE] = LeftFile(METRICS_FILE, OTHER, told)
        store = file_store()
        return [KeptFile(file.name, file.form, store.put(file.content), len(file.content)) for file in files.values()]

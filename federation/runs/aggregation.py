"""What goes to the sites in each phase, and how their answers become one: between strategy and artifacts."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
from flwr.app import RecordDict

from federation.runs import messages
from federation.runs.carrying import Carried
from federation.runs.journal import Artifact
from federation.runs.messages import Answer, Arrays
from federation.runs.models import Participant, Participation, Round, Run
from federation.runs.phases import EVALUATE, INITIAL, SUMS, TRAIN, Phase, sites_mixed
from federation.runs.roles import TESTS, TRAINS
from federation.runs.storage import model_store, state_store, update_store
from federation.strategies.catalogue import STRATEGIES
from federation.strategies.conduct import Conduct, Contribution
from federation.strategies.description import Setting
from fedstudy_core import flower as records
from fedstudy_core.artifacts import decode_arrays, digest_of, pieces_of
from fedstudy_core.blocks import is_finite
from fedstudy_core.errors import FedStudyError
from fedstudy_core.flower import Packed
from fedstudy_core.freight import Freight
from fedstudy_core.metrics import combine, with_pooled_auc
from fedstudy_core.spool import let_go
from fedstudy_core.transport import AS_IS, HALF, Rounding, Transport, widen_like
from fedstudy_core.updates import schema_of

ARRAY_KEY = {SUMS: messages.SUMS, INITIAL: messages.ARRAYS, TRAIN: messages.ARRAYS, EVALUATE: None}


@dataclass(frozen=True)
class Result:
    """What a phase brought: combined metrics; by SHA-256 new parameters, the sites' sums, what the strategy keeps."""

    metrics: dict[str, Any] = field(default_factory=dict)
    candidate: str = ""
    shared: str = ""
    state: str = ""


class Aggregator:
    """Holds a run's strategy and its current parameters; everything can be read again from the stores."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._models = model_store()
        self._updates = update_store(run)
        self._states = state_store(run)
        self._arrays: dict[str, dict[str, np.ndarray]] = {}
        self._written: set[str] = set()
        self._carried: tuple[str, Carried] | None = None
        self._state: tuple[str, Arrays] = ("", {})

    @cached_property
    def _conduct(self) -> Conduct:
        declaration, sites = self._run.version.declaration, self._run.participants.filter(role=TRAINS).count()
        setting = Setting(self._run.strategy_parameters, declaration, sites)
        return Conduct(STRATEGIES[self._run.strategy], setting)

    @cached_property
    def _kinds(self) -> dict[str, str]:
        return dict(self._run.version.declaration.get("metrics", {}))

    def _load(self, sha256: str) -> dict[str, np.ndarray]:
        if sha256 not in self._arrays:
            self._remember(sha256, self._models.arrays(sha256))
        return self._arrays[sha256]

    def _remember(self, sha256: str, arrays: Arrays) -> None:
        """Hold the newest two parameter sets: a round's input and its outcome."""
        while len(self._arrays) > 1:
            del self._arrays[next(iter(self._arrays))]
        self._arrays[sha256] = dict(arrays)

    def transport(self, phase: Phase) -> Transport:
        """How arrays travel in the phase. A preparation's sums and first model go as they are."""
        if phase.name not in (TRAIN, EVALUATE):
            return AS_IS
        return HALF if self._run.transport == HALF else AS_IS

    def carry(
        self, round_: Round, phase: Phase, contents: Sequence[RecordDict]
    ) -> list[tuple[RecordDict, Rounding | None]]:
        """The contents as they travel, each with what narrowing did to its numbers.

        Raises:
            Refusal: E_TRANSPORT_RANGE.
        """
        if self.transport(phase) == AS_IS:
            return [(content, None) for content in contents]
        return [self._carry(self._model_of(round_, phase)).into(content) for content in contents]

    def _carry(self, sha256: str) -> Carried:
        """The model of that SHA-256 as it travels; the last one is kept."""
        if self._carried is None or self._carried[0] != sha256:
            self._carried = (sha256, Carried.of(self._load(sha256)))
        return self._carried[1]

    def model_sha256(self, round_: Round, phase: Phase) -> str:
        """The parameters that the phase sends, as the sites see them."""
        sha256 = self._model_of(round_, phase)
        return sha256 if self.transport(phase) == AS_IS else self._carry(sha256).sha256

    def _model_of(self, round_: Round, phase: Phase) -> str:
        """The parameters that the phase is about: the round's input, and while evaluating what training made of it.

        Where the model is handed on, they are those of the site that answered last.
        """
        if phase.name == EVALUATE:
            return round_.candidate_sha256
        if phase.name == TRAIN and phase.asks == "in turn":
            done = round_.participations.filter(phase=TRAIN, state="done").order_by("answered_at").last()
            if done is not None:
                return self._handed_on(done)
        return round_.model_in.sha256 if round_.model_in else ""

    def _handed_on(self, item: Participation) -> str:
        came = records.arrays_of(self._answer(item)[0].array_records[messages.ARRAYS])
        arrays = came if item.round.model_in is None else widen_like(came, self._load(item.round.model_in.sha256))
        sha256 = digest_of(pieces_of(arrays))
        self._remember(sha256, arrays)
        return sha256

    @cached_property
    def _shared(self) -> Arrays:
        preparation = self._run.standing_rounds.get(number=0)
        return decode_arrays(self._models.get(preparation.shared_sha256)) if preparation.shared_sha256 else {}

    def _memory(self, round_: Round) -> Arrays:
        """What the strategy keeps from the round before."""
        kept = round_.before.state_sha256
        if self._state[0] != kept:
            self._state = (kept, decode_arrays(self._states.get(kept)) if kept else {})
        return self._state[1]

    def sites_mixed(self, participant: Participant) -> int:
        """How many sites' answers are mixed in what another site gets, as the participant's orders say it.

        Nothing that a site finds by testing goes to another one: where it only tests, these are all that take part.
        """
        return self._taking_part if participant.role == TESTS else sites_mixed(self._run)

    @cached_property
    def _taking_part(self) -> int:
        return self._run.participants.count()

    def contents(self, round_: Round, phase: Phase, asked: Sequence[Participant]) -> list[RecordDict]:
        """What each site gets, in the order of `asked`."""
        if phase.name in (SUMS, INITIAL):
            shared = round_.shared_sha256 if phase.name == INITIAL else ""
            query = messages.query_content(self._run.config, self._conduct.local_layers)
            content = messages.with_shared(query, decode_arrays(self._models.get(shared)) if shared else {})
            return [content] * len(asked)
        model = self._load(self._model_of(round_, phase))
        sites = [_number(participant) for participant in asked]
        contents = self._conduct.outgoing(phase.wire_name, round_.number, model, self._memory(round_), sites)
        let_go(*model.values())
        if phase.name == EVALUATE:
            messages.say_whether_last(contents, last=round_.number == round_.run.last_round)
        return [messages.with_shared(content, self._shared) for content in contents]

    def read(self, round_: Round, phase: Phase, content: RecordDict, freight: Freight | None = None) -> Answer:
        """A site's answer, checked against what the phase may bring. Raises Refusal."""
        kinds = self._kinds if phase.name in (TRAIN, EVALUATE) else None
        answer = messages.read_answer(content, messages.Expected(ARRAY_KEY[phase.name], kinds), freight)
        if phase.name == TRAIN:
            model = self._load(self._model_of(round_, phase))
            self._conduct.check(model, answer.arrays, answer.metrics, transport=self.transport(phase))
        return answer

    def keep(self, item: Participation, answer: Answer, freight: Freight | None) -> None:
        """Store the answer's content, which is read again when it is combined; that of a test stands in its row."""
        if item.phase != EVALUATE:
            self._written.add(self._stored(answer.packed, freight))

    def _stored(self, packed: Packed, freight: Freight | None) -> str:
        if freight is not None and freight.path is not None:
            return self._updates.adopt(freight.path, packed.sha256)
        return self._updates.put(packed.pieces, sha256=packed.sha256)

    def _answer(self, item: Participation) -> tuple[RecordDict, Callable[[], None]]:
        """The answer's content, mapped to its file, and how to give the memory back that looking at it took."""
        sha256 = item.content_sha256
        mapped = self._updates.map(sha256, verify=sha256 not in self._written)
        return records.unpack(memoryview(mapped)), partial(mapped.madvise, mmap.MADV_DONTNEED)

    def combine(self, round_: Round, phase: Phase, done: Sequence[Participation]) -> Result:
        """Combine the phase's answers.

        Raises:
            FedStudyError: E_SUMS when the sites' sums do not fit together, E_STRATEGY when nothing came of them.
        """
        if phase.name == SUMS:
            return self._combine_sums([self._answer(item)[0] for item in done])
        if phase.name == INITIAL:
            first = records.arrays_of(self._answer(done[0])[0].array_records[messages.ARRAYS])
            return Result(candidate=self._put(self._conduct.without_local(first)))
        metrics = combine([item.metrics for item in done], self._kinds)
        if phase.name == EVALUATE:
            return Result(metrics=with_pooled_auc(metrics))
        candidate, state = self._train(round_, phase, done)
        return Result(metrics=metrics, candidate=candidate, state=state)

    def _train(self, round_: Round, phase: Phase, done: Sequence[Participation]) -> tuple[str, str]:
        """The parameters that the strategy makes of the sites' own, and what it keeps."""
        if phase.asks == "in turn":
            done = sorted(done, key=lambda item: item.answered_at or item.asked_at)
        contributions = []
        for item in done:
            content, unmap = self._answer(item)
            arrays = content.array_records[messages.ARRAYS]
            contributions.append(Contribution(_number(item.participant), arrays, item.metrics, unmap))
        sha256 = round_.model_in.sha256 if round_.model_in else ""
        before = self._load(sha256) if self.transport(phase) == AS_IS else self._carry(sha256).seen
        model, memory = self._conduct.combine(round_.number, before, self._memory(round_), contributions)
        if not _is_finite(model):
            raise FedStudyError("E_STRATEGY", f"The model of round {round_.number} holds values that are not finite.")
        let_go(*before.values())
        return self._put(model), self._states.put(pieces_of(memory)) if memory else ""

    def _combine_sums(self, contents: Sequence[RecordDict]) -> Result:
        sites = [records.arrays_of(content.array_records[messages.SUMS]) for content in contents]
        layouts = {tuple(sorted((name, array.shape) for name, array in site.items())) for site in sites}
        if len(layouts) > 1:
            raise FedStudyError("E_SUMS", "The sites' sums have different names or shapes.")
        if not sites[0]:
            return Result()
        with np.errstate(over="ignore"):
            total = {name: np.asarray(sum(site[name].astype(np.float64) for site in sites)) for name in sites[0]}
        if not _is_finite(total):
            raise FedStudyError("E_SUMS", "The sites' sums are beyond all numbers.")
        return Result(shared=self._models.put(pieces_of(total)))

    def _put(self, arrays: Mapping[str, np.ndarray]) -> str:
        sha256 = self._models.put(pieces_of(arrays))
        self._remember(sha256, self._models.arrays(sha256, verify=False))
        return sha256

    def artifact(self, round_: Round) -> Artifact:
        """The round's new parameters, as they are committed."""
        arrays = self._load(round_.candidate_sha256)
        return Artifact(round_.candidate_sha256, self._models.size(round_.candidate_sha256), schema_of(arrays))

    def forget(self, round_: Round) -> None:
        """Delete what a committed round leaves behind: the sites' answers, and the strategy's state before the last."""
        for sha256 in round_.participations.exclude(content_sha256="").values_list("content_sha256", flat=True):
            self._written.discard(sha256)
            self._updates.delete(sha256)
        if round_.number > 1 and round_.before.state_sha256:
            old = round_.before.before.state_sha256
            if old and old not in (round_.state_sha256, round_.before.state_sha256):
                self._states.delete(old)


def _number(participant: Participant) -> int:
    """How the strategies know a site: by its place in the run, from 1."""
    return participant.position + 1


def _is_finite(arrays: Mapping[str, np.ndarray]) -> bool:
    return all(map(is_finite, arrays.values()))

"""What goes to the sites in each phase, and how their answers become one: between strategy and artifacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, RecordDict

from federation.runs import messages
from federation.runs.journal import Artifact
from federation.runs.messages import Answer, Arrays
from federation.runs.metrics import combine, with_pooled_auc
from federation.runs.models import Participation, Round, Run
from federation.runs.phases import EVALUATE, INITIAL, SUMS, TRAIN, Phase
from federation.runs.roster import Roster
from federation.runs.storage import model_store, update_store
from federation.strategies.catalogue import STRATEGIES
from fedstudy_core import flower as records
from fedstudy_core.artifacts import decode_arrays, encode_arrays
from fedstudy_core.errors import FedStudyError
from fedstudy_core.updates import schema_of

ARRAY_KEY = {SUMS: messages.SUMS, INITIAL: messages.ARRAYS, TRAIN: messages.ARRAYS, EVALUATE: None}


@dataclass(frozen=True)
class Result:
    """What a phase brought: combined metrics, and by SHA-256 the new parameters or the sites' sums."""

    metrics: dict[str, Any] = field(default_factory=dict)
    candidate: str = ""
    shared: str = ""


class Aggregator:
    """Holds a run's strategy and its current parameters; everything can be read again from the stores."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._models = model_store()
        self._updates = update_store(run)
        self._arrays: dict[str, dict[str, np.ndarray]] = {}
        self._answers: dict[str, RecordDict] = {}

    @cached_property
    def _strategy(self) -> Any:
        description = STRATEGIES[self._run.strategy]
        return description.build(self._run.strategy_parameters)

    @cached_property
    def _kinds(self) -> dict[str, str]:
        return dict(self._run.version.declaration.get("metrics", {}))

    def _load(self, sha256: str) -> dict[str, np.ndarray]:
        if sha256 not in self._arrays:
            self._remember(sha256, decode_arrays(self._models.get(sha256)))
        return self._arrays[sha256]

    def _remember(self, sha256: str, arrays: Arrays) -> None:
        """Hold the newest two parameter sets: a round's input and its outcome."""
        while len(self._arrays) > 1:
            del self._arrays[next(iter(self._arrays))]
        self._arrays[sha256] = dict(arrays)

    def model_sha256(self, round_: Round, phase: Phase) -> str:
        """The parameters that the phase sends: the round's input, or while evaluating what training made of it."""
        if phase.name == EVALUATE:
            return round_.candidate_sha256
        return round_.model_in.sha256 if round_.model_in else ""

    @cached_property
    def _shared(self) -> Arrays:
        preparation = Round.objects.get(run=self._run, number=0)
        return decode_arrays(self._models.get(preparation.shared_sha256)) if preparation.shared_sha256 else {}

    def contents(self, round_: Round, phase: Phase, node_ids: Sequence[str]) -> list[RecordDict]:
        """What each node gets, in the order of `node_ids`."""
        if phase.name == SUMS:
            return [messages.query_content(self._run.config)] * len(node_ids)
        if phase.name == INITIAL:
            shared = decode_arrays(self._models.get(round_.shared_sha256)) if round_.shared_sha256 else {}
            return [messages.with_shared(messages.query_content(self._run.config), shared)] * len(node_ids)
        arrays = messages.array_record(self._load(self.model_sha256(round_, phase)))
        configure = self._strategy.configure_train if phase.name == TRAIN else self._strategy.configure_evaluate
        outgoing = list(configure(round_.number, arrays, ConfigRecord(), Roster(node_ids)))
        by_node = {str(message.metadata.dst_node_id): message.content for message in outgoing}
        return [messages.with_shared(by_node[node_id], self._shared) for node_id in node_ids]

    def read(self, round_: Round, phase: Phase, content: RecordDict) -> Answer:
        """A site's answer, checked against what the phase may bring. Raises Refusal."""
        return messages.read_answer(
            content,
            messages.Expected(
                array_key=ARRAY_KEY[phase.name],
                schema=schema_of(self._load(self.model_sha256(round_, phase))) if phase.name == TRAIN else None,
                kinds=self._kinds if phase.name in (TRAIN, EVALUATE) else None,
            ),
        )

    def keep(self, item: Participation, answer: Answer) -> None:
        sha256 = self._updates.put(answer.packed)
        if sha256 != answer.sha256:
            raise FedStudyError("E_REPLY", "The kept answer is not the one that was checked.")
        self._answers[sha256] = records.unpack(answer.packed)

    def _answer(self, item: Participation) -> RecordDict:
        if item.content_sha256 not in self._answers:
            self._answers[item.content_sha256] = records.unpack(self._updates.get(item.content_sha256))
        return self._answers[item.content_sha256]

    def combine(self, round_: Round, phase: Phase, done: Sequence[Participation]) -> Result:
        """Combine the phase's answers.

        Raises:
            FedStudyError: E_SUMS when the sites' sums do not fit together, E_STRATEGY when nothing came of them.
        """
        contents = [self._answer(item) for item in done]
        if phase.name == SUMS:
            return self._combine_sums(contents)
        if phase.name == INITIAL:
            return Result(candidate=self._put(records.arrays_of(contents[0].array_records[messages.ARRAYS])))
        metrics = combine([item.metrics for item in done], self._kinds)
        if phase.name == EVALUATE:
            return Result(metrics=with_pooled_auc(metrics))
        return Result(metrics=metrics, candidate=self._train_candidate(round_, contents))

    def _train_candidate(self, round_: Round, contents: Sequence[RecordDict]) -> str:
        """The parameters that the strategy makes of the sites' own."""
        arrays, _ = self._strategy.aggregate_train(round_.number, messages.comparable_replies(contents))
        if arrays is None:
            raise FedStudyError("E_STRATEGY", f"The strategy made no model of round {round_.number}.")
        model = records.arrays_of(arrays)
        if not _is_finite(model):
            raise FedStudyError("E_STRATEGY", f"The model of round {round_.number} holds values that are not finite.")
        return self._put(model)

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
        return Result(shared=self._models.put(encode_arrays(total)))

    def _put(self, arrays: Mapping[str, np.ndarray]) -> str:
        sha256 = self._models.put(encode_arrays(arrays))
        self._remember(sha256, arrays)
        return sha256

    def artifact(self, round_: Round) -> Artifact:
        """The round's new parameters, as they are committed."""
        arrays = self._load(round_.candidate_sha256)
        size = len(self._models.get(round_.candidate_sha256))
        return Artifact(round_.candidate_sha256, size, schema_of(arrays))

    def forget_answers(self, round_: Round) -> None:
        """Delete the sites' answers of a committed round: only what was made of them is kept."""
        for sha256 in round_.participations.exclude(content_sha256="").values_list("content_sha256", flat=True):
            self._answers.pop(sha256, None)
            self._updates.delete(sha256)


def _is_finite(arrays: Mapping[str, np.ndarray]) -> bool:
    return all(bool(np.isfinite(array).all()) for array in arrays.values())

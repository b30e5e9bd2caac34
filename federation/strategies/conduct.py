"""How a run's strategy is led through a round: what goes to which site, and what comes of the answers.

A strategy is built anew for each round from its parameters and its memory, so a round depends on nothing but its
inputs: whichever worker leads it, and in whatever order the answers came, the outcome is the same to the bit.

What becomes of an array depends on the strategy's `handling`:

| handling | trained arrays | BatchNorm's means and variances | whole numbers (`num_batches_tracked`) |
|---|---|---|---|
| average | as they are | as trained arrays | mean by examples, rounded |
| step | in 64 bits | mean by examples | mean by examples, rounded |
| robust | in 64 bits, as differences from the model | as trained arrays | median, rounded |
| last, trees | as they are | as they are | as they are |

Strategies that combine each number by itself (`elementwise`) see the model in slices.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from federation.strategies import buffers
from federation.strategies.description import Arrays, Description, Setting
from federation.strategies.roster import Roster
from fedstudy_core import flower as records
from fedstudy_core.blocks import is_finite
from fedstudy_core.boosters import check_booster
from fedstudy_core.errors import FedStudyError, Refusal
from fedstudy_core.spool import let_go
from fedstudy_core.transport import AS_IS, Transport, schema_on_the_way, widen_like
from fedstudy_core.updates import check_update, schema_of

WEIGHT = "num-examples"
SLICE = 384 * 1024  # in 64 bits less than `memory.LARGE`: what is computed in between takes the same memory again
LARGEST = float(np.finfo(np.float32).max)  # beyond it squares would leave the range of 64 bits


@dataclass(frozen=True)
class Contribution:
    """One site's answer to a training message.

    Attributes:
        site: its number in the run, from 1.
        let_go: told when a part of the arrays was used, so that memory that they are mapped to can be given back.
    """

    site: int
    arrays: ArrayRecord
    metrics: Mapping[str, Any]
    let_go: Callable[[], None] = lambda: None


class Conduct:
    """Leads one strategy; holds nothing from one call to the next."""

    def __init__(self, description: Description, setting: Setting) -> None:
        self._description = description
        self._setting = setting

    def _strategy(self, memory: Arrays) -> Any:
        strategy = self._description.build(self._setting)
        if self._description.memory is not None:
            self._description.memory.restore(strategy, memory)
        return strategy

    def outgoing(
        self, phase: str, number: int, model: Arrays, memory: Arrays, sites: Sequence[int]
    ) -> list[RecordDict]:
        """What each site gets in the round of that number; `phase` is "train" or "evaluate"."""
        strategy = self._strategy(memory)
        configure = strategy.configure_train if phase == "train" else strategy.configure_evaluate
        arrays = _viewed(model, model)
        # Flower's strategy for turns picks one site by itself, so it gets to see one.
        rosters = [[site] for site in sites] if self._description.asks == "one" else [sites]
        sent = [message for part in rosters for message in configure(number, arrays, ConfigRecord(), Roster(part))]
        by_site = {message.metadata.dst_node_id: message.content for message in sent}
        return [by_site[site] for site in sites]

    @property
    def local_layers(self) -> list[str]:
        """Patterns of the arrays that stay at the sites in this run."""
        needs = self._description.needs
        return self._setting.declaration["local_layers"] if needs and needs.declared == "local_layers" else []

    def without_local(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """The arrays that sites share. Raises FedStudyError E_STRATEGY when there are none."""
        shared = {
            name: array
            for name, array in arrays.items()
            if not any(fnmatchcase(name, pattern) for pattern in self.local_layers)
        }
        if arrays and not shared:
            raise FedStudyError("E_STRATEGY", "All layers are local: there is nothing that the sites share.")
        return shared

    def check(self, model: Arrays, arrays: Arrays, metrics: Mapping[str, Any], *, transport: Transport = AS_IS) -> None:
        """Refuse an answer that the strategy could not use; its arrays are as they travelled.

        Raises:
            Refusal: E_UPDATE_*, E_METRICS_FORM.
        """
        if self._description.model == "trees":
            check_booster(arrays, model)
            return
        check_update(arrays, schema_on_the_way(schema_of(model), transport), examples=1, max_examples=1)
        for name, array in arrays.items():
            if array.dtype == np.float64 and array.size and max(array.max(), -array.min()) > LARGEST:
                raise Refusal("E_UPDATE_NORM", f"“{name}” holds a number beyond {LARGEST:.2g}.")
        report = self._description.reports
        if report is None:
            return
        value = metrics.get(self._setting.declaration[report.declared])
        if not isinstance(value, int | float) or not report.least <= value <= report.most:
            raise Refusal("E_METRICS_FORM", "The answer lacks a number that the strategy needs.")

    def combine(
        self, number: int, model: Arrays, memory: Arrays, contributions: Sequence[Contribution]
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """The model after the round and what the strategy keeps for the next.

        Args:
            contributions: in the order of the turns where the model was handed on, else in any; what travelled
                narrowed is widened here.

        Raises:
            FedStudyError: E_STRATEGY when nothing came of them.
        """
        handling = self._description.handling
        if handling != "last":
            contributions = sorted(contributions, key=lambda item: item.site)
        fewest = self._description.fewest_answers(self._setting.parameters)
        if self._description.asks == "all" and len(contributions) < fewest:
            raise FedStudyError("E_STRATEGY", f"{self._description.title} needs {fewest} answers.")
        if self._description.elementwise:
            return self._in_slices(number, model, contributions), {}
        if handling != "trees":
            contributions = [_widened(item, model) for item in contributions]
        strategy = self._strategy(memory)
        if handling in ("last", "trees"):
            combined = self._through(strategy, number, model, contributions)
            result = combined if handling == "trees" else {name: combined[name] for name in model}
        else:
            result = self._by_kind(strategy, number, model, contributions)
        keep = self._description.memory
        return result, {} if keep is None else keep.save(strategy)

    def _in_slices(self, number: int, model: Arrays, contributions: Sequence[Contribution]) -> dict[str, np.ndarray]:
        """The model, a slice at a time: only a slice of each answer is in memory, whatever the size of the model."""
        result = {name: np.empty(array.shape, array.dtype) for name, array in model.items()}
        flat = {name: array.reshape(-1) for name, array in result.items()}
        before = {name: array.reshape(-1) for name, array in model.items()}
        views = [records.arrays_of(item.arrays) for item in contributions]
        came = [{name: array.reshape(-1) for name, array in view.items()} for view in views]
        for slices in slices_of(model):
            part = {name: before[name][place] for name, place in slices.items()}
            given = [
                Contribution(
                    item.site,
                    _viewed({name: arrays[name][place] for name, place in slices.items()}, model),
                    item.metrics,
                )
                for item, arrays in zip(contributions, came, strict=True)
            ]
            for name, values in self._by_kind(self._strategy({}), number, part, given).items():
                flat[name][slices[name]] = values
            let_go(*(before[name] for name in slices))
            for item in contributions:
                item.let_go()
        return result

    def _by_kind(
        self, strategy: Any, number: int, model: Arrays, contributions: Sequence[Contribution]
    ) -> dict[str, np.ndarray]:
        """Trained arrays by the strategy, the others as the table above says."""
        handling = self._description.handling
        aside = [name for name in model if self._stands_aside(name, model[name])]
        given = [name for name in model if name not in aside]
        combined: dict[str, np.ndarray] = {}
        if given:
            forms = [_given(item, given, model, handling) for item in contributions]
            base = model if handling == "average" else {name: model[name].astype(np.float64) for name in given}
            combined = self._through(strategy, number, {name: base[name] for name in given}, forms)
            if handling == "robust":
                combined = {name: base[name] + array for name, array in combined.items()}
        views = [
            records.arrays_of(records.record_of({name: item.arrays[name] for name in aside})) for item in contributions
        ]
        weights = [float(item.metrics[WEIGHT]) for item in contributions]
        for name in aside:
            seen = [view[name] for view in views]
            combined[name] = buffers.median(seen) if handling == "robust" else buffers.mean(seen, weights)
        return {name: _fit(combined[name], model[name]) for name in model}

    def _stands_aside(self, name: str, array: np.ndarray) -> bool:
        return buffers.is_buffer(name, array) if self._description.handling == "step" else buffers.is_whole(array)

    def _through(
        self, strategy: Any, number: int, model: Arrays, contributions: Sequence[Contribution]
    ) -> dict[str, np.ndarray]:
        """Tell the strategy the round's model, then have it combine the answers."""
        sites = [item.site for item in contributions]
        list(strategy.configure_train(number, _record(model), ConfigRecord(), Roster(sites)))
        report = self._description.reports
        read = [WEIGHT] if report is None else [WEIGHT, self._setting.declaration[report.declared]]
        with np.errstate(over="ignore"), _cheap_collections():
            arrays, _ = strategy.aggregate_train(number, [_reply(item, read) for item in contributions])
        if arrays is None:
            raise FedStudyError("E_STRATEGY", f"The strategy made no model of round {number}.")
        return records.arrays_of(arrays)


def slices_of(model: Arrays) -> Iterator[dict[str, slice]]:
    """Cut the arrays into parts of about `SLICE` numbers: large ones into several, small ones together."""
    together: dict[str, slice] = {}
    count = 0
    for name, array in model.items():
        for begin in range(0, max(array.size, 1), SLICE):
            end = min(begin + SLICE, array.size)
            if together and (count + end - begin > SLICE or name in together):
                yield together
                together, count = {}, 0
            together[name] = slice(begin, end)
            count += end - begin
    if together:
        yield together


@contextmanager
def _cheap_collections() -> Iterator[None]:
    """Flower's q-FedAvg and Bulyan collect garbage once an array (flwr 1.41): keep the process' objects out of it."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _given(item: Contribution, names: Sequence[str], model: Arrays, handling: str) -> Contribution:
    """The contribution with the arrays that the strategy gets, in the form in which it gets them."""
    picked = records.record_of({name: item.arrays[name] for name in names})
    if handling == "average":
        return Contribution(item.site, picked, item.metrics)
    wide = {name: array.astype(np.float64) for name, array in records.arrays_of(picked).items()}
    if handling == "robust":
        wide = {name: array - model[name].astype(np.float64) for name, array in wide.items()}
    return Contribution(item.site, _record(wide), item.metrics)


def _viewed(arrays: Arrays, model: Arrays) -> ArrayRecord:
    """The arrays in the model's number types, to be read where they lie."""
    return records.record_of({name: records.viewed(array) for name, array in widen_like(arrays, model).items()})


def _widened(item: Contribution, model: Arrays) -> Contribution:
    came = records.arrays_of(item.arrays)
    if all(array.dtype == model[name].dtype for name, array in came.items()):
        return item
    return replace(item, arrays=_viewed(came, model))


def _reply(item: Contribution, read: Sequence[str]) -> Message:
    """The contribution as a reply to a Flower strategy. Its group names the site."""
    metrics = MetricRecord({name: item.metrics[name] for name in read})
    content = RecordDict({"arrays": item.arrays, "metrics": metrics})
    return Message(content, dst_node_id=1, message_type="train", group_id=str(item.site))


def _record(arrays: Arrays) -> ArrayRecord:
    return records.record_of({name: records.array(np.asarray(array)) for name, array in arrays.items()})


def _fit(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    if values.dtype == like.dtype:
        return values
    if not is_finite(values):
        raise FedStudyError("E_STRATEGY", "The strategy made values that are not finite.")
    return buffers.narrowed(values, like.dtype)

"""The rounds of a script that leaves them to the portal: the same exchanges, combined by Flower's own strategies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp.strategy import FedAvg, FedXgbBagging

from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.rehearsal.bundles import Built
from fedstudy_client.rehearsal.sites import Sites
from fedstudy_core import flower
from fedstudy_core.carriage import SHARED
from fedstudy_core.metrics import Metric, combine, with_pooled_auc

ARRAYS, CONFIG, METRICS, SUMS = "arrays", "config", "metrics", "sums"


@dataclass
class Outcome:
    """The metrics of all sites together, by round and in it by phase or message type."""

    rounds: list[dict[str, dict[str, Metric]]] = field(default_factory=list)


class Lead:
    """Leads the rounds of a script that leaves them to the portal, by Flower's own strategy."""

    def __init__(self, built: Built, sites: Sites, config: Mapping[str, Any], told: Callable[[str], None]) -> None:
        self._declaration = built.bundle.declaration
        self._sites, self._config, self._told = sites, config, told

    def run(self, rounds: int) -> Outcome:
        """Prepare, then train and test round by round."""
        shared = self._sums()
        arrays, outcome = self._initial(), Outcome()
        strategy = _strategy(self._declaration.model == "trees")
        for number in range(1, rounds + 1):
            train = strategy.configure_train(number, arrays, ConfigRecord(), self._sites)
            trained = self._sites.send_and_receive(_with_shared(train, shared))
            combined, _ = strategy.aggregate_train(number, trained)
            if combined is None:
                raise FedStudyProblem("E_STRATEGY", f"Flower's strategy made no model of round {number}.")
            arrays = combined
            test = strategy.configure_evaluate(number, arrays, ConfigRecord(), self._sites)
            tested = self._sites.send_and_receive(_with_shared(test, shared))
            outcome.rounds.append({"train": self._metrics(trained), "evaluate": self._metrics(tested)})
            self._told(f"round {number} of {rounds}")
        return outcome

    def _ask(self, message_type: str, nodes: Sequence[int], shared: ArrayRecord) -> list[Message]:
        content = RecordDict({CONFIG: ConfigRecord(dict(self._config))})
        messages = [Message(content, dst_node_id=node, message_type=message_type) for node in nodes]
        return self._sites.send_and_receive(_with_shared(messages, shared))

    def _sums(self) -> ArrayRecord:
        """What the sites' answers add up to; empty where the script asks for no sums."""
        if not self._declaration.sums:
            return ArrayRecord()
        self._told(f"every site is asked for {self._declaration.sums}")
        answers = self._ask(self._declaration.sums, self._sites.get_node_ids(), ArrayRecord())
        sites = [flower.arrays_of(answer.content.array_records[SUMS]) for answer in answers]
        if len({tuple(sorted((name, array.shape) for name, array in site.items())) for site in sites}) > 1:
            raise FedStudyProblem("E_SUMS", "The sites' sums have different names or shapes.")
        total = {name: np.asarray(sum(site[name].astype(np.float64) for site in sites)) for name in sites[0]}
        return flower.record_of({name: flower.array(values) for name, values in total.items()})

    def _initial(self) -> ArrayRecord:
        if not self._declaration.initial:
            raise FedStudyProblem("E_NO_INITIAL", "The script does not say which query gives the initial model.")
        self._told(f"one site is asked for {self._declaration.initial}")
        answer = self._ask(self._declaration.initial, self._sites.get_node_ids()[:1], ArrayRecord())[0]
        return answer.content.array_records[ARRAYS]

    def _metrics(self, replies: Sequence[Message]) -> dict[str, Metric]:
        sites = [dict(reply.content.metric_records[METRICS]) for reply in replies]
        return with_pooled_auc(combine(sites, self._declaration.metrics))


def _strategy(trees: bool) -> FedAvg:
    every: dict[str, Any] = {"min_train_nodes": 1, "min_evaluate_nodes": 1, "min_available_nodes": 1}
    return FedXgbBagging(**every) if trees else FedAvg(**every)


def _with_shared(messages: Iterable[Message], shared: ArrayRecord) -> list[Message]:
    outgoing = list(messages)
    for message in outgoing:
        if shared:
            message.content[SHARED] = shared
    return outgoing

"""The same study driven by Flower itself, for ``flwr run``. FedStudy does not run this file."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedProx

from . import task

app = ServerApp()


class StudyStrategy(FedProx):
    """FedProx (FedAvg where mu is 0) that hands the shared sums on and adds the histograms up."""

    def __init__(self, *, sites: int, proximal_mu: float, shared: ArrayRecord) -> None:
        super().__init__(
            min_train_nodes=sites,
            min_evaluate_nodes=sites,
            min_available_nodes=sites,
            proximal_mu=proximal_mu,
            evaluate_metrics_aggr_fn=average_metrics,
        )
        self._shared = shared

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedProx does, with the shared sums beside the model."""
        return self._with_shared(super().configure_train(server_round, arrays, config, grid))

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedProx does, with the shared sums beside the model."""
        return self._with_shared(super().configure_evaluate(server_round, arrays, config, grid))

    def _with_shared(self, messages: Iterable[Message]) -> list[Message]:
        outgoing = list(messages)
        for message in outgoing:
            if self._shared:
                message.content["shared"] = self._shared
        return outgoing


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Ask for the moments, train for the configured rounds, print each round's metrics."""
    config = context.run_config
    model = task.make_model(int(config["seed"]))
    shared = sum_moments(grid) if config["normalise"] == task.GLOBAL else ArrayRecord()
    strategy = StudyStrategy(
        sites=len(list(grid.get_node_ids())),
        proximal_mu=float(config["proximal-mu"]),
        shared=shared,
    )
    strategy.start(grid, ArrayRecord(model.state_dict()), num_rounds=int(config["num-server-rounds"]))


def sum_moments(grid: Grid) -> ArrayRecord:
    """The sites' moments added up; raises RuntimeError when a site's are missing."""
    messages = [Message(RecordDict(), dst_node_id=node, message_type="query.moments") for node in grid.get_node_ids()]
    replies = list(grid.send_and_receive(messages))
    if not replies or len(replies) < len(messages) or any(reply.has_error() for reply in replies):
        raise RuntimeError("not every site answered with its moments")
    answers = [reply.content.array_records["sums"] for reply in replies]
    sums = ArrayRecord()
    for name in answers[0]:
        sums[name] = Array(np.sum([answer[name].numpy() for answer in answers], axis=0))
    return sums


def average_metrics(contents: list[RecordDict], weighted_by: str) -> MetricRecord:
    """Numbers averaged by examples, histograms added."""
    records = [next(iter(content.metric_records.values())) for content in contents]
    weights = np.array([record[weighted_by] for record in records], dtype=np.float64)
    averaged = MetricRecord()
    for name in records[0]:
        values = np.array([record[name] for record in records], dtype=np.float64)
        if values.ndim > 1:
            averaged[name] = [int(value) for value in values.sum(axis=0)]
        elif name == weighted_by:
            averaged[name] = int(weights.sum())
        else:
            averaged[name] = float(np.average(values, weights=weights))
    return averaged

"""SCAFFOLD on Flower's FedAvg; `federation.strategies.scaffold` says where it comes from and what scripts do for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from federation.strategies.buffers import is_buffer

CORRECTION = "correction"
ROWS = "rows"
WEIGHT = "num-examples"

Variate = dict[str, np.ndarray]


class Scaffold(FedAvg):
    """Keeps every site's control variate; that of all sites is their mean, a site without one counting as zero.

    Args:
        sites: how many sites the run trains at.
        step_sum: the metric under which a site reports the sum of its step sizes (the paper's K times eta_l).
        by_rows: whether sites count by their rows. Then the mean is that of the sites that have a variate.
    """

    def __init__(self, *, sites: int, server_rate: float, step_sum: str, by_rows: bool = False) -> None:
        super().__init__(min_train_nodes=1, min_evaluate_nodes=1, min_available_nodes=1)
        self._sites = sites
        self._server_rate = server_rate
        self._step_sum = step_sum
        self._by_rows = by_rows
        self._rows: dict[int, float] = {}
        self._variates: dict[int, Variate] = {}
        self._model: Variate = {}

    def saved(self) -> dict[str, np.ndarray]:
        """All variates, named by site and array, and the sites' rows where they count."""
        kept = {
            f"{site}/{name}": array
            for site, variate in sorted(self._variates.items())
            for name, array in variate.items()
        }
        return kept | {f"{ROWS}/{site}": np.array(rows) for site, rows in sorted(self._rows.items())}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take up what `saved` gave."""
        self._variates, self._rows = {}, {}
        for key, array in arrays.items():
            site, _, name = key.partition("/")
            if site == ROWS:
                self._rows[int(name)] = float(array)
            else:
                self._variates.setdefault(int(site), {})[name] = array

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg does, for each site with the correction that it adds to its gradients."""
        model = {name: array.numpy() for name, array in arrays.items()}
        self._model = {name: array for name, array in model.items() if not is_buffer(name, array)}
        outgoing = list(super().configure_train(server_round, arrays, config, grid))
        mean = self._mean()
        for message in outgoing:
            own = self._variate(message.metadata.dst_node_id)
            correction = {name: mean[name] - own[name] for name in self._model}
            message.content = _with(message, self._as_sent(correction))
        return outgoing

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Step by the mean change of the sites, and renew the variates of those that answered."""
        answers, _ = self._check_and_log_replies(replies, is_train=True)
        if not answers:
            return None, None
        mean = self._mean()
        change = {name: np.zeros_like(array) for name, array in self._model.items()}
        renewed: dict[int, Variate] = {}
        rows = {int(reply.metadata.group_id): self._count(reply) for reply in answers}
        for reply in answers:
            site = int(reply.metadata.group_id)
            steps = float(reply.content.metric_records["metrics"][self._step_sum])  # type: ignore[arg-type]
            arrays = {name: array.numpy() for name, array in reply.content.array_records["arrays"].items()}
            moved = {name: arrays[name] - array for name, array in self._model.items()}
            own = self._variate(site)
            renewed[site] = {name: own[name] - mean[name] - moved[name] / steps for name in self._model}
            share = rows[site] / sum(rows.values())
            change = {name: change[name] + moved[name] * share for name in self._model}
        self._variates |= renewed
        self._rows |= rows if self._by_rows else {}
        stepped = {name: array + self._server_rate * change[name] for name, array in self._model.items()}
        return self._as_sent(stepped), None

    def _as_sent(self, values: Variate) -> ArrayRecord:
        """In the model's own number types."""
        return ArrayRecord(
            {name: Array(np.asarray(values[name], dtype=array.dtype)) for name, array in self._model.items()}
        )

    def _variate(self, site: int) -> Variate:
        return self._variates.get(site) or {
            name: np.zeros(array.shape, np.float64) for name, array in self._model.items()
        }

    def _count(self, reply: Message) -> float:
        """What the site counts by."""
        return float(reply.content.metric_records["metrics"][WEIGHT]) if self._by_rows else 1.0  # type: ignore[arg-type]

    def _mean(self) -> Variate:
        known = sorted(self._variates)
        counts = {site: self._rows.get(site, 1.0) for site in known}
        total = sum(counts.values()) if self._by_rows else self._sites
        return {
            name: sum((self._variates[site][name] * counts[site] for site in known), np.zeros(array.shape, np.float64))
            / max(total, 1)
            for name, array in self._model.items()
        }


def _with(message: Message, correction: ArrayRecord) -> RecordDict:
    """The message's content with the correction; Flower gives all messages of a round one and the same."""
    return RecordDict({**message.content, CORRECTION: correction})

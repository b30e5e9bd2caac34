"""Strategies over real nodes: every round's model is, to the bit, that of the same rounds in one process,
and ten rounds end where those of Flower's own loop end."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from flwr.supercore.task_identity import TaskIdentity

from federation.library.catalogue import ready_script
from federation.library.heart_disease import source
from federation.library.heart_disease.heart_disease import client_app, server_app
from federation.strategies.catalogue import STRATEGIES
from federation.strategies.conduct import Conduct, Contribution
from federation.strategies.description import Setting
from fedstudy_core import flower as records
from fedstudy_core.artifacts import ArtifactStore, decode_arrays, encode_arrays
from fedstudy_core.canonical import digest
from tests.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PROJECT = ready_script("heart_disease").project["tool"]


@pytest.fixture
def contexts(tmp_path: Path) -> Iterator[list[Context]]:
    """The four hospitals in this process, in the order of the run."""
    before = (TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id)
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 3, 7, 11
    paths, config = source.write_centres(tmp_path), PROJECT["flwr"]["app"]["config"]
    yield [
        Context(7, 11, {"dataset-path": str(path), "dataset-format": "csv"}, RecordDict(), dict(config))
        for path in paths.values()
    ]
    TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id = before


@pytest.mark.parametrize(("name", "rounds"), [("fedadam", 3), ("scaffold", 3), ("fedbn", 2)])
def test_rounds_are_those_of_one_process(stage: Stage, contexts: list[Context], name: str, rounds: int) -> None:
    strategy = STRATEGIES[name]
    parameters = {parameter.name: parameter.default for parameter in strategy.parameters}
    expected = _rounds(Conduct(strategy, Setting(parameters, PROJECT["fedstudy"], len(contexts))), contexts, rounds)
    run = stage.wait_for_end(stage.start_run(strategy=name, rounds=rounds, label=strategy.title))
    assert (run["state"], run["reason"]) == ("completed", "")
    assert [item["model_out"] for item in stage.rounds(run["id"])] == expected


def _rounds(conduct: Conduct, contexts: list[Context], count: int) -> list[str]:
    """The hashes of the models after the preparation and after each round."""
    query = RecordDict({"config": ConfigRecord({"local-layers": conduct.local_layers} if conduct.local_layers else {})})
    sums = [_ask(context, "query.moments", query).array_records["sums"] for context in contexts]
    total = {name: sum(site[name].numpy().astype(np.float64) for site in sums) for name in sums[0]}
    shared = ArrayRecord({name: records.array(np.asarray(values)) for name, values in total.items()})
    first = _ask(contexts[0], "query.initial_model", query).array_records["arrays"]
    model, memory, sites = conduct.without_local(records.arrays_of(first)), {}, range(1, len(contexts) + 1)
    hashes = [digest(encode_arrays(model))]
    for number in range(1, count + 1):
        contents = conduct.outgoing("train", number, model, memory, list(sites))
        answers = []
        for site, context, content in zip(sites, contexts, contents, strict=True):
            reply = _ask(context, "train", RecordDict({**content, "shared": shared}))
            answers.append(Contribution(site, reply.array_records["arrays"], reply.metric_records["metrics"]))
        model, memory = conduct.combine(number, model, memory, answers)
        hashes.append(digest(encode_arrays(model)))
    return hashes


def _ask(context: Context, kind: str, content: RecordDict) -> RecordDict:
    return client_app.app(Message(content, dst_node_id=11, message_type=kind), context).content


class Here(Grid):
    """The sites in this process: a message is answered by the app itself."""

    def __init__(self, sites: list[Context], shared: ArrayRecord | None = None) -> None:
        self._sites = sites
        self.shared = shared

    def set_run(self, *_: object) -> None:
        """There is but one run."""

    @property
    def run(self) -> None:
        """There is no record of it."""

    def create_message(self, *_: object, **__: object) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return range(1, len(self._sites) + 1)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        replies = []
        for message in messages:
            if self.shared:
                message.content["shared"] = self.shared
            replies.append(client_app.app(message, self._sites[message.metadata.dst_node_id - 1]))
        return replies


def test_ten_rounds_end_where_stock_flower_ends(stage: Stage, contexts: list[Context]) -> None:
    grid = Here(contexts)
    grid.shared = server_app.sum_moments(grid)
    query = Message(RecordDict({"config": ConfigRecord()}), dst_node_id=1, message_type="query.initial_model")
    first = client_app.app(query, contexts[0]).content.array_records["arrays"]
    stock = FedAvg(min_train_nodes=4, min_evaluate_nodes=4, min_available_nodes=4, fraction_evaluate=0.0)
    expected = stock.start(grid, first, num_rounds=10).arrays
    run = stage.wait_for_end(stage.start_run(strategy="fedavg", rounds=10, label="As stock Flower"))
    assert (run["state"], run["reason"]) == ("completed", "")
    store = ArtifactStore(stage.stack.folders.data / "models")
    model = decode_arrays(store.get(stage.rounds(run["id"])[-1]["model_out"]))
    assert list(model) == list(expected)
    for name, values in model.items():
        assert not np.array_equal(values, first[name].numpy())
        np.testing.assert_allclose(values, expected[name].numpy(), rtol=0, atol=1e-6)

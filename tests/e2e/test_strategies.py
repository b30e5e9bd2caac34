"""Strategies over real nodes: every round's model is, to the bit, that of the same rounds in one process."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from federation.library.catalogue import ready_script
from federation.library.heart_disease import source
from federation.library.heart_disease.heart_disease import client_app
from federation.strategies.catalogue import STRATEGIES
from federation.strategies.conduct import Conduct, Contribution
from federation.strategies.description import Setting
from fedstudy_core import flower as records
from fedstudy_core.artifacts import encode_arrays
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


@pytest.mark.parametrize(("name", "rounds"), [("fedavg", 10), ("fedadam", 3), ("scaffold", 3), ("fedbn", 2)])
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

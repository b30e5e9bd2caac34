"""Same seeds, same sites: after ten rounds FedStudy's FedAvg has the model of Flower's own run."""

import numpy as np
from flwr.app import ArrayRecord, Message, RecordDict

from federation.library.heart_disease import reference, source
from federation.library.heart_disease.heart_disease import client_app, server_app, task
from federation.library.heart_disease.heart_disease.preparation import Split
from federation.strategies.catalogue import STRATEGIES
from federation.strategies.conduct import Conduct, Contribution
from federation.strategies.description import Setting
from fedstudy_core import flower as records

from .conftest import MakeContext
from .grid import InProcessGrid

ROUNDS = 10


def test_ten_rounds_of_fedavg_equal_flowers(make_context: MakeContext, splits: dict[str, Split]) -> None:
    contexts = {number: make_context(centre) for number, centre in enumerate(source.CENTRES, 1)}
    moments = reference.moments_of_all(splits).arrays()
    shared = ArrayRecord({name: records.array(values) for name, values in moments.items()})
    raw = server_app.StudyStrategy(sites=4, proximal_mu=0.0, shared=shared)
    start = ArrayRecord(task.make_model(42).state_dict())
    theirs = raw.start(InProcessGrid(contexts), start, num_rounds=ROUNDS).arrays

    conduct = Conduct(STRATEGIES["fedavg"], Setting({}, {}, 4))
    model = records.arrays_of(start)
    for number in range(1, ROUNDS + 1):
        contents = conduct.outgoing("train", number, model, {}, list(contexts))
        answers = []
        for site, content in zip(contexts, contents, strict=True):
            message = Message(RecordDict({**content, "shared": shared}), dst_node_id=site, message_type="train")
            reply = client_app.app(message, contexts[site]).content
            answers.append(Contribution(site, reply.array_records["arrays"], reply.metric_records["metrics"]))
        model, _ = conduct.combine(number, model, {}, answers)

    assert list(model) == list(theirs)
    for name, array in theirs.items():
        np.testing.assert_allclose(model[name], array.numpy(), atol=1e-6, rtol=0)
        assert not np.allclose(model[name], start[name].numpy(), atol=1e-3)

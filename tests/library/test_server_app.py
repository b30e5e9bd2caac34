"""The ServerApp for stock Flower does the same study as the reference, over the sites' real handlers."""

import numpy as np
import pytest
from flwr.app import ArrayRecord, Context, MetricRecord, RecordDict

from federation.library.heart_disease import reference, source
from federation.library.heart_disease.heart_disease import server_app
from federation.library.heart_disease.heart_disease.preparation import Split
from federation.library.heart_disease.heart_disease.task import Training

from .conftest import DEFAULTS, MakeContext
from .grid import InProcessGrid

SMALL = {"num_server_rounds": 2, "local_steps": 10}


def grid_of(make_context: MakeContext, **config: object) -> InProcessGrid:
    contexts = {number: make_context(centre, **config) for number, centre in enumerate(source.CENTRES, 1)}
    return InProcessGrid(contexts)


def server_context(**config: object) -> Context:
    run_config = DEFAULTS | {name.replace("_", "-"): value for name, value in config.items()}
    return Context(run_id=7, node_id=0, node_config={}, state=RecordDict(), run_config=run_config)


@pytest.mark.parametrize("normalise", ["site", "global"])
@pytest.mark.parametrize("mu", [0.0, 1.0])
def test_it_trains_the_references_model(
    make_context: MakeContext, splits: dict[str, Split], normalise: str, mu: float
) -> None:
    config = SMALL | {"normalise": normalise, "proximal_mu": mu}
    grid = grid_of(make_context, **config)
    server_app.app(grid=grid, context=server_context(**config))
    sites = reference.make_sites(splits, normalise)
    training = Training(steps=10, batch_size=4, learning_rate=0.01, proximal_mu=mu)
    expected = reference.federate(sites, seed=42, rounds=2, training=training)
    sent = grid.sent[-1].content.array_records["arrays"]
    np.testing.assert_allclose(sent["weight"].numpy(), expected.weight.detach().numpy(), rtol=1e-4, atol=1e-6)
    kinds = [message.metadata.message_type for message in grid.sent]
    assert kinds == ["query.moments"] * 4 * (normalise == "global") + (["train"] * 4 + ["evaluate"] * 4) * 2


def test_a_silent_site_stops_the_study_before_it_trains(make_context: MakeContext) -> None:
    grid = grid_of(make_context, **SMALL)
    grid._silent = frozenset({3})
    with pytest.raises(RuntimeError, match="not every site"):
        server_app.app(grid=grid, context=server_context(**SMALL))
    assert not [message for message in grid.sent if message.metadata.message_type == "train"]


def test_metrics_are_averaged_by_rows_and_histograms_added() -> None:
    def content(rows: int, accuracy: float, histogram: list[int]) -> RecordDict:
        record = {"num-examples": rows, "accuracy": accuracy, "score-positives": histogram}
        return RecordDict({"metrics": MetricRecord(record)})

    averaged = server_app.average_metrics([content(30, 0.5, [1, 2]), content(10, 0.9, [3, 4])], "num-examples")
    assert dict(averaged) == {"num-examples": 40, "accuracy": pytest.approx(0.6), "score-positives": [4, 6]}


def test_a_strategy_without_shared_sums_sends_none() -> None:
    strategy = server_app.StudyStrategy(sites=2, proximal_mu=0.0, shared=ArrayRecord())
    assert strategy._with_shared([]) == []

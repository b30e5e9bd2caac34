"""XGBoost in turns: in each round one site grows the model on and hands it back.

Chen and Guestrin, XGBoost: A Scalable Tree Boosting System, KDD 2016; the federation is Flower's. A script of this
kind declares `model = "trees"` and answers with the whole booster. Sites take turns by round; one that does not
answer is skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import Description, Minimum, Setting

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(setting: Setting) -> Strategy:
    from flwr.serverapp.strategy import FedXgbCyclic  # workers only: the web process stays free of Flower

    strategy = FedXgbCyclic(min_available_nodes=1)
    strategy.min_train_nodes = strategy.min_evaluate_nodes = 1  # its constructor takes no less than two
    return strategy


DESCRIPTION = Description(
    name="xgb-cyclic",
    title="XGBoost in turns",
    summary="One site a round grows the model on. The round's model is that site's own.",
    paper="Chen and Guestrin, XGBoost: A Scalable Tree Boosting System, KDD 2016; federated as in Flower",
    build=build,
    handling="trees",
    weighting="none",
    minimums=(Minimum(2),),
    asks="one",
    model="trees",
    mixes=lambda _, quorum: 1,
)

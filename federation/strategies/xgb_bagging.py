"""XGBoost by bagging: in each round every site grows trees for the model so far, and all of them join it.

Chen and Guestrin, XGBoost: A Scalable Tree Boosting System, KDD 2016; the federation is Flower's. A script of this
kind declares `model = "trees"`: one array of bytes named "0", empty at first, then XGBoost's JSON. A site answers
with the trees that it grew in this round only; Flower takes as many of them as the booster grows in parallel (one,
for gradient boosting).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import EVERY_SITE, Description, Setting

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(setting: Setting) -> Strategy:
    from flwr.serverapp.strategy import FedXgbBagging  # workers only: the web process stays free of Flower

    return FedXgbBagging(**EVERY_SITE)


DESCRIPTION = Description(
    name="xgb-bagging",
    title="XGBoost bagging",
    summary="Every site grows a tree for the model so far in each round; all of them join it.",
    paper="Chen and Guestrin, XGBoost: A Scalable Tree Boosting System, KDD 2016; federated as in Flower",
    build=build,
    handling="trees",
    weighting="none",
    model="trees",
)

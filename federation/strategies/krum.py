"""Krum: the round's model is that of the one site whose neighbours are nearest.

Blanchard et al., Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent, NeurIPS 2017. It withstands
f of 2f + 3 sites. The round's model is one site's own, so an approval that asks for more than one site behind what
leaves is not covered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import EVERY_SITE, MALICIOUS, MALICIOUS_SITES, Description, Minimum, Setting

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(setting: Setting) -> Strategy:
    from flwr.serverapp.strategy import Krum  # workers only: the web process stays free of Flower

    return Krum(**EVERY_SITE, num_malicious_nodes=setting.count(MALICIOUS))


DESCRIPTION = Description(
    name="krum",
    title="Krum",
    summary="Takes the model of the one site that is nearest to its neighbours. The round's model is that site's own.",
    paper="Blanchard et al., Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent, NeurIPS 2017",
    build=build,
    handling="robust",
    parameters=(MALICIOUS_SITES,),
    weighting="none",
    minimums=(Minimum(3, {MALICIOUS: 2}),),
    mixes=lambda _, quorum: 1,
)

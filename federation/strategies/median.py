"""The median of the sites' values, parameter by parameter: f of 2f + 1 sites cannot move it beyond the others.

Yin et al., Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates, ICML 2018, option I. Rows do
not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import EVERY_SITE, MALICIOUS, MALICIOUS_SITES, Description, Minimum, Setting

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(setting: Setting) -> Strategy:
    from flwr.serverapp.strategy import FedMedian  # workers only: the web process stays free of Flower

    return FedMedian(**EVERY_SITE)


DESCRIPTION = Description(
    name="median",
    title="Median",
    summary="Takes the median of the sites' values for each parameter, so that a minority of sites cannot move it far.",
    paper="Yin et al., Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates, ICML 2018",
    build=build,
    handling="robust",
    elementwise=True,
    parameters=(MALICIOUS_SITES,),
    weighting="equal",
    minimums=(Minimum(1, {MALICIOUS: 2}),),
)

"""The mean of the sites' values without the f lowest and the f highest, parameter by parameter.

Yin et al., Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates, ICML 2018, option II. Rows do
not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import MALICIOUS, MALICIOUS_SITES, Description, Minimum, Setting

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(setting: Setting) -> Strategy:
    from federation.strategies.own.trimmed_mean import TrimmedMean  # workers only: the web process stays free of Flower

    return TrimmedMean(setting.count(MALICIOUS))


DESCRIPTION = Description(
    name="trimmed-mean",
    title="Trimmed mean",
    summary="Leaves out the lowest and the highest values of each parameter and averages the rest.",
    paper="Yin et al., Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates, ICML 2018",
    build=build,
    handling="robust",
    elementwise=True,
    parameters=(MALICIOUS_SITES,),
    weighting="equal",
    minimums=(Minimum(1, {MALICIOUS: 2}),),
)

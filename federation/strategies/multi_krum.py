"""Multi-Krum: the average, weighted by rows, of the m sites whose neighbours are nearest.

Blanchard et al., Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent, NeurIPS 2017, section 4. It
withstands f of n sites when n is at least 2f + 3 and m at most n - f - 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import EVERY_SITE, MALICIOUS, MALICIOUS_SITES, Description, Minimum, Setting
from fedstudy_core.parameters import Parameter

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy

SELECT = "sites-to-select"


def build(setting: Setting) -> Strategy:
    from flwr.serverapp.strategy import MultiKrum  # workers only: the web process stays free of Flower

    return MultiKrum(
        **EVERY_SITE, num_malicious_nodes=setting.count(MALICIOUS), num_nodes_to_select=setting.count(SELECT)
    )


DESCRIPTION = Description(
    name="multi-krum",
    title="Multi-Krum",
    summary="Averages the models of the sites that are nearest to their neighbours, and leaves the others out.",
    paper="Blanchard et al., Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent, NeurIPS 2017",
    build=build,
    handling="robust",
    parameters=(
        MALICIOUS_SITES,
        Parameter(
            name=SELECT,
            type="int",
            default=2,
            min=1.0,
            max=1000.0,
            unit="sites",
            description="How many sites' models are averaged.",
        ),
    ),
    minimums=(Minimum(3, {MALICIOUS: 2}), Minimum(2, {MALICIOUS: 1, SELECT: 1})),
    mixes=lambda parameters, quorum: min(int(parameters[SELECT]), quorum),
)

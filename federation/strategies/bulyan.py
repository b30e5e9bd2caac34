"""Bulyan: Krum's selection, then for each parameter the mean of the values nearest to their median.

El Mhamdi et al., The Hidden Vulnerability of Distributed Learning in Byzantium, ICML 2018. It withstands f of 4f + 3
sites. Flower selects all n - 2f sites by one ranking where the paper ranks anew after each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import EVERY_SITE, MALICIOUS, MALICIOUS_SITES, Description, Minimum, Setting

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(setting: Setting) -> Strategy:
    from flwr.serverapp.strategy import Bulyan  # workers only: the web process stays free of Flower

    return Bulyan(**EVERY_SITE, num_malicious_nodes=setting.count(MALICIOUS))


DESCRIPTION = Description(
    name="bulyan",
    title="Bulyan",
    summary="Selects sites as Krum does, then averages for each parameter the values nearest to their median.",
    paper="El Mhamdi et al., The Hidden Vulnerability of Distributed Learning in Byzantium, ICML 2018",
    build=build,
    handling="robust",
    parameters=(MALICIOUS_SITES,),
    weighting="equal",
    minimums=(Minimum(3, {MALICIOUS: 4}),),
    mixes=lambda parameters, quorum: quorum - 4 * int(parameters[MALICIOUS]),
)

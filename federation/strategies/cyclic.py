"""Cyclic weight transfer: the model goes from site to site within a round, trained at each.

Chang et al., Distributed deep learning networks among institutions for medical imaging, JAMIA 2018. Flower has no
class for it. The sites are asked one after the other, in the run's order. Each gets the very model that the one
before made, so an approval that asks for more than one site behind what leaves is not covered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.strategies.description import EVERY_SITE, Description, Minimum, Setting

if TYPE_CHECKING:
    from flwr.serverapp.strategy import Strategy


def build(setting: Setting) -> Strategy:
    from federation.strategies.own.cyclic import CyclicTransfer  # workers only: the web process stays free of Flower

    return CyclicTransfer(**EVERY_SITE)


DESCRIPTION = Description(
    name="cyclic",
    title="Cyclic weight transfer",
    summary="Hands the model from site to site; each trains it on. Every site sees the model of the one before it.",
    paper="Chang et al., Distributed deep learning networks among institutions for medical imaging, JAMIA 2018",
    build=build,
    handling="last",
    weighting="none",
    minimums=(Minimum(2),),
    asks="in turn",
    mixes=lambda _, quorum: 1,
)

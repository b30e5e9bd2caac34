"""The phases of a round: what each asks of which sites, and what a good answer holds.

Round 0 prepares: exact sums over all sites (say, for normalising), then the initial model, asked of one site at a time
until one gives it. Every later round trains and evaluates.
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.runs.models import Round, Run

SUMS, INITIAL, TRAIN, EVALUATE = "sums", "initial", "train", "evaluate"


@dataclass(frozen=True)
class Phase:
    """One exchange with the sites.

    Attributes:
        message_type: Flower's message type.
        asks_all: whether all sites are asked at once, or one until it answers.
        wire_name: the phase as the sites' approvals name it.
    """

    name: str
    message_type: str
    asks_all: bool = True

    @property
    def wire_name(self) -> str:
        return self.message_type.split(".", 1)[0]


def phases_of(run: Run, number: int) -> list[Phase]:
    """The phases of the run's round of that number, in order."""
    if number > 0:
        return [Phase(TRAIN, "train"), Phase(EVALUATE, "evaluate")]
    declaration = run.version.declaration
    asked = ((SUMS, declaration.get("sums"), True), (INITIAL, declaration.get("initial"), False))
    return [Phase(name, message_type, asks_all) for name, message_type, asks_all in asked if message_type]


def current_phase(round_: Round) -> Phase:
    return next(phase for phase in phases_of(round_.run, round_.number) if phase.name == round_.phase)


def next_phase(round_: Round) -> Phase | None:
    """The phase after the round's current one; None at the round's end."""
    phases = phases_of(round_.run, round_.number)
    names = [phase.name for phase in phases]
    position = names.index(round_.phase) + 1 if round_.phase else 0
    return phases[position] if position < len(phases) else None

"""The phases of a round: what each asks of which sites, and what a good answer holds.

Round 0 prepares: exact sums over all sites (say, for normalising), then the initial model, asked of one site at a time
until one gives it. Every later round trains, as the run's strategy asks, and evaluates. Where all sites train at once,
they test a round's model with the message of the next round's training; only the last round asks for its test alone.
Where some sites only test, every round does. Each site is asked in the phases of its part (`roles`).
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.runs.models import Round, Run
from federation.strategies.catalogue import STRATEGIES
from federation.strategies.description import Asks

SUMS, INITIAL, TRAIN, EVALUATE = "sums", "initial", "train", "evaluate"
OWN_SERVER = "own-server"  # in the place of a strategy's name: the script's own ServerApp leads the rounds


@dataclass(frozen=True)
class Phase:
    """One exchange with the sites.

    Attributes:
        message_type: Flower's message type.
        asks: all sites at once; one, and another until one answers; or one after the other.
        begins_at: how far in the sites' order the first to be asked stands.
        wire_name: the phase as the sites' approvals name it.
    """

    name: str
    message_type: str
    asks: Asks = "all"
    begins_at: int = 0

    @property
    def wire_name(self) -> str:
        return self.message_type.split(".", 1)[0]


TEST = Phase(EVALUATE, "evaluate")


def phases_of(run: Run, number: int) -> list[Phase]:
    """The phases of the run's round of that number, in order."""
    if number > 0:
        asks = STRATEGIES[run.strategy].asks
        begins_at = number - 1 if asks == "one" else 0
        train = Phase(TRAIN, "train", asks, begins_at)
        return [train] if asks == "all" and number < run.last_round and not run.tests_apart else [train, TEST]
    declaration = run.version.declaration
    asked: tuple[tuple[str, str | None, Asks], ...] = (
        (SUMS, declaration.get("sums"), "all"),
        (INITIAL, declaration.get("initial"), "one"),
    )
    return [Phase(name, message_type, asks) for name, message_type, asks in asked if message_type]


def tests_before(round_: Round, phase: str) -> bool:
    """Whether the sites test the model of the round before with the message of this phase."""
    strategy = STRATEGIES.get(round_.run.strategy)  # a ServerApp of the script's own asks as it likes
    if phase != TRAIN or round_.number < 2 or strategy is None or strategy.asks != "all":
        return False
    return round_.before.phase == TRAIN  # it ended there, and nobody tested its model yet


def sites_mixed(run: Run) -> int:
    """How many sites' answers at least are mixed in what another site gets: what approvals ask for by `min_sites`."""
    if run.strategy == OWN_SERVER:
        return run.quorum
    return STRATEGIES[run.strategy].mixes(run.strategy_parameters, run.quorum)


def current_phase(round_: Round) -> Phase:
    return next(phase for phase in phases_of(round_.run, round_.number) if phase.name == round_.phase)


def next_phase(round_: Round) -> Phase | None:
    """The phase after the round's current one; None at the round's end."""
    phases = phases_of(round_.run, round_.number)
    names = [phase.name for phase in phases]
    position = names.index(round_.phase) + 1 if round_.phase else 0
    return phases[position] if position < len(phases) else None

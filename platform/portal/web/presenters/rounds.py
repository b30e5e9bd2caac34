"""Two rounds of a run beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from federation.runs.models import Participation, Round
from portal.web.presenters.runs import PHASES, RoundRow, present_round, present_trouble

Key = tuple[int, str, str]  # a site's place in the run, its name, the phase


@dataclass(frozen=True)
class Part:
    """What a site did in a phase; milliseconds and bytes.

    Attributes:
        code, sentence: why it is not among the answers; empty where it is.
        update: SHA-256 of what it answered; empty where it did not.
    """

    state: str
    code: str
    sentence: str
    update: str
    examples: int | None
    duration_ms: int | None
    bytes_sent: int
    bytes_received: int


@dataclass(frozen=True)
class Line:
    """A site and a phase, with its part in each of the rounds; None where it was not asked."""

    site: str
    phase: str
    parts: tuple[Part | None, ...]


@dataclass(frozen=True)
class Beside:
    """The rounds in their order, the models with which they began, and what each site did."""

    rounds: tuple[RoundRow, ...]
    begun: tuple[str, ...]
    lines: tuple[Line, ...]


def present_beside(rounds: Sequence[Round]) -> Beside:
    """Rounds of one run (of `selectors.rounds_of`) with what each site did in them."""
    parts = [_parts(item) for item in rounds]
    keys = sorted({key for found in parts for key in found}, key=_place)
    return Beside(
        rounds=tuple(present_round(item, "") for item in rounds),
        begun=tuple(item.model_in.sha256 if item.model_in else "" for item in rounds),
        lines=tuple(Line(key[1], PHASES.get(key[2], key[2]), tuple(found.get(key) for found in parts)) for key in keys),
    )


def _place(key: Key) -> tuple[int, int, str]:
    """Sites in the run's order, and their phases in that of a round."""
    position, _, phase = key
    return position, list(PHASES).index(phase) if phase in PHASES else len(PHASES), phase


def _parts(round_: Round) -> Mapping[Key, Part]:
    return {
        (row.participant.position, row.participant.enrolment.site.name, row.phase): _part(row)
        for row in round_.participations.all()
    }


def _part(row: Participation) -> Part:
    trouble = None if row.state == "done" else present_trouble(row)
    return Part(
        state=row.state,
        code=trouble.code if trouble else "",
        sentence=trouble.sentence if trouble else "",
        update=row.content_sha256,
        examples=row.examples,
        duration_ms=row.duration_ms,
        bytes_sent=row.bytes_sent,
        bytes_received=row.bytes_received,
    )

"""State tables: what states a thing has and which moves between them are allowed.

The table stands here because every move is an event of the audit log. One frozen table feeds the services (which
refuse a move with E_STATE), the database (a check constraint on the values, a trigger on the moves) and the diagrams.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from django.db.models import CheckConstraint, Q

from audit.triggers import FSM
from fedstudy_core.errors import Conflict


@dataclass(frozen=True)
class StateTable:
    """The states of one kind of thing.

    Attributes:
        name: the thing in a sentence, such as "study".
        initial: the state in which it starts.
        moves: every state, with the states that may follow it.
    """

    name: str
    initial: str
    moves: Mapping[str, Set[str]]

    def __post_init__(self) -> None:
        unknown = {new for following in self.moves.values() for new in following} - set(self.moves)
        if unknown or self.initial not in self.moves:
            raise ValueError(f"The state table of {self.name} names states that it does not have: {unknown}")
        frozen = {state: frozenset(following) for state, following in self.moves.items()}
        object.__setattr__(self, "moves", MappingProxyType(frozen))

    @property
    def states(self) -> tuple[str, ...]:
        return tuple(self.moves)

    @property
    def final(self) -> tuple[str, ...]:
        return tuple(state for state, following in self.moves.items() if not following)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every allowed move, in a stable order."""
        return [(old, new) for old, following in self.moves.items() for new in sorted(following)]

    def allows(self, old: str, new: str) -> bool:
        return new in self.moves.get(old, ())

    def move(self, subject: Any, new: str) -> str:
        """Set `subject.state` and give back the state before; the caller holds the lock and saves.

        Raises:
            Conflict: E_STATE, with the states that may follow.
        """
        old: str = subject.state
        if not self.allows(old, new):
            following = ", ".join(sorted(self.moves.get(old, ()))) or "nothing; this is final"
            raise Conflict("E_STATE", f"This {self.name} is {old} and cannot become {new}. Next can be: {following}.")
        subject.state = new
        return old

    def check(self, name: str, field: str = "state") -> CheckConstraint:
        """The constraint by which the database refuses unknown states."""
        return CheckConstraint(condition=Q(**{f"{field}__in": list(self.moves)}), name=name)

    def trigger(self, field: str = "state") -> FSM:
        """The trigger by which the database refuses moves that are not in the table."""
        return FSM(name=f"{field}_moves", field=field, transitions=self.pairs)

    def diagram(self) -> str:
        """The table as a Mermaid state diagram."""
        lines = ["stateDiagram-v2", f"    [*] --> {self.initial}"]
        lines += [f"    {old} --> {new}" for old, new in self.pairs]
        return "\n".join([*lines, *(f"    {state} --> [*]" for state in self.final)]) + "\n"

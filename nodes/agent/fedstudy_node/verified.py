"""Signed documents that held, remembered while the very same people are trusted.

Whether an envelope is signed by whom it names follows from its bytes and the trusted keys alone, and the gate asks it
of the same approval up to four times a round. Only what held is remembered, in full: a refusal is found anew each time,
and so is everything when the keys were read anew. What may change by itself (the time, revocations, the dataset's
file) is no part of the question.
"""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from fedstudy_core.approvers import Approver

T = TypeVar("T")

MOST = 16


class Verified(Generic[T]):
    """Remembers what `verify` made of the last `MOST` envelopes. Not thread-safe."""

    def __init__(self, verify: Callable[[bytes, Mapping[str, Approver]], T]) -> None:
        self._verify = verify
        self._trusted: Mapping[str, Approver] | None = None
        self._held: dict[bytes, T] = {}

    def __call__(self, envelope: bytes, trusted: Mapping[str, Approver]) -> T:
        """Return what `verify` returns, or raise what it raises.

        Args:
            trusted: never changed; `Trust` hands out another one when it read something else.
        """
        if trusted is not self._trusted:
            self._trusted, self._held = trusted, {}
        if envelope not in self._held:
            held = self._verify(envelope, trusted)
            while len(self._held) >= MOST:
                del self._held[next(iter(self._held))]
            self._held[envelope] = held
        return self._held[envelope]

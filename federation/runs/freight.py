"""A run's large contents, on the worker's side: offered to nodes, and taken in when their answers name them."""

from __future__ import annotations

import numpy as np
from flwr.app import RecordDict

from federation.runs.models import Participation, Run
from federation.runs.storage import shelf
from fedstudy_core import flower as records
from fedstudy_core.flower import Packed
from fedstudy_core.freight import Freight, lying


class Loading:
    """Packs what goes to the sites of a run; what several of them get is packed once."""

    def __init__(self, run: Run) -> None:
        self._run = str(run.pk)
        self._last: tuple[tuple[object, ...], Packed] | None = None

    def pack(self, content: RecordDict) -> Packed:
        """The content as it travels; a large one can be fetched from now on. Raises OSError."""
        packed = Packed(records.pieces_of(content))
        if packed.is_small:
            return packed
        alike = tuple(map(_identity, packed.pieces))
        if self._last is None or self._last[0] != alike:
            shelf().offer(self._run, packed.sha256, packed.pieces)
            self._last = (alike, packed)
        return self._last[1]

    def expect(self, item: Participation) -> None:
        """Take a large answer of the site that is asked."""
        shelf().expect(self._run, str(item.pk))

    def unload(self, item: Participation, content: RecordDict) -> Freight | None:
        """What an answer's content says that came beside it; None when it holds everything itself.

        Raises:
            Refusal: E_REPLY, E_ARTIFACT_MISSING.
        """
        sha256 = records.freight_of(content)
        return None if sha256 is None else lying(shelf().arrived(self._run, str(item.pk), sha256), sha256)

    def forget(self) -> None:
        """Drop what was offered, and what came and was not kept, and expect nothing more: its round is over."""
        self._last = None
        shelf().clear(self._run)


def _identity(piece: records.Data) -> object:
    """What tells whether a piece is the one of before: short ones themselves, others by where they lie."""
    if not len(piece) or (len(piece) < records.INLINE_LIMIT and isinstance(piece, bytes)):
        return bytes(piece)
    return np.frombuffer(piece, np.uint8).ctypes.data, len(piece)

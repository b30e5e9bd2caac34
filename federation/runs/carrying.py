"""A round's messages as they travel where a run narrows its arrays to 16 bits (`fedstudy_core.transport`).

What is narrowed are the model and whatever a strategy sends beside it (SCAFFOLD's corrections); what the sites added
up goes as it is. The orders name the model that the sites see, widened again, and strategies step from that one too.
"""

from __future__ import annotations

from dataclasses import dataclass

from flwr.app import ArrayRecord, RecordDict

from federation.runs.messages import ARRAYS, Arrays
from fedstudy_core import flower as records
from fedstudy_core.artifacts import digest_of, pieces_of
from fedstudy_core.carriage import SHARED, narrowed_record, widened_record
from fedstudy_core.transport import Rounding


@dataclass(frozen=True)
class Carried:
    """A model on its way.

    Attributes:
        sha256: of the model that the sites see.
    """

    record: ArrayRecord
    sha256: str
    rounding: Rounding

    @classmethod
    def of(cls, model: Arrays) -> Carried:
        """The model narrowed. Raises Refusal (E_TRANSPORT_RANGE)."""
        record, rounding = narrowed_record(model)
        return cls(record, digest_of(pieces_of(_seen(record))), rounding)

    @property
    def seen(self) -> Arrays:
        """The model that the sites see."""
        return _seen(self.record)

    def into(self, content: RecordDict) -> tuple[RecordDict, Rounding]:
        """A message's content with this model in the place of its own, and the rounding of all that it carries.

        Raises:
            Refusal: E_TRANSPORT_RANGE.
        """
        carried, rounding = RecordDict(dict(content)), self.rounding
        for name, record in content.array_records.items():
            if name == ARRAYS:
                carried[name] = self.record
            elif name != SHARED:
                carried[name], lost = narrowed_record(records.arrays_of(record))
                rounding |= lost
        return carried, rounding


def _seen(record: ArrayRecord) -> Arrays:
    return records.arrays_of(widened_record(record))

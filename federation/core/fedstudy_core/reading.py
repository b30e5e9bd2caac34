"""What was read from a file of somebody else's making: the data dictionary, and what did not come with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fedstudy_core.dictionary import DataDictionary

Form = Literal["csv", "redcap", "json"]
LEFT_OUT, CHANGED, IDENTIFIER = "E_DICTIONARY_LEFT_OUT", "E_DICTIONARY_CHANGED", "E_DICTIONARY_IDENTIFIER"


@dataclass(frozen=True)
class Note:
    """Something that was not carried over as it stood.

    Attributes:
        row: as spreadsheets count, the header being row 1.
        variable: its name in the file; empty for what is about the whole.
        code: E_DICTIONARY_LEFT_OUT, E_DICTIONARY_CHANGED or E_DICTIONARY_IDENTIFIER.
    """

    row: int
    column: str
    variable: str
    code: str
    detail: str


@dataclass(frozen=True)
class Reading:
    """A dictionary as it was read, from which form, and the notes on what is not in it."""

    form: Form
    dictionary: DataDictionary
    notes: tuple[Note, ...] = ()

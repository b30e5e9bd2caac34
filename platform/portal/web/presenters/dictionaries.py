"""What the pages of a data dictionary show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from fedstudy_core.codes import CODES
from fedstudy_core.reading import CHANGED, IDENTIFIER, LEFT_OUT, Note, Reading
from portal.web.advice import said
from portal.web.formats import value_text

PAGE = 100
MOST_NOTES = 500
FORMS = {
    "csv": gettext_noop("a table"),
    "redcap": gettext_noop("a data dictionary of REDCap's"),
    "json": gettext_noop("JSON"),
}
KINDS = {
    LEFT_OUT: (gettext_noop("Left out"), "idle"),
    CHANGED: (gettext_noop("Changed"), "info"),
    IDENTIFIER: (gettext_noop("Identifier"), "wait"),
}


@dataclass(frozen=True)
class VariableRow:
    """A variable of a data dictionary, its rules in words; `change` says what the draft does to it."""

    name: str
    label: str
    type: str
    unit: str
    allowed: str
    missing: str
    required: bool
    identifier: bool
    change: str = ""


@dataclass(frozen=True)
class DraftPage:
    """A hundred variables of a draft, and what it changes of the newest version."""

    rows: tuple[VariableRow, ...]
    total: int
    page: int
    pages: int
    variable: str
    changes: str

    @property
    def before(self) -> int | None:
        return self.page - 1 if self.page > 1 else None

    @property
    def after(self) -> int | None:
        return self.page + 1 if self.page < self.pages else None


@dataclass(frozen=True)
class NoteRow:
    """Something of a file that does not come along."""

    row: int
    column: str
    variable: str
    kind: str
    tone: str
    detail: str


def variable_rows(variables: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]] = ()) -> list[VariableRow]:
    """The variables as a table shows them; with the version before, what is new or changed since."""
    known = {item["name"]: item for item in before}
    return [
        VariableRow(
            name=item["name"],
            label=item.get("label", ""),
            type=item["type"],
            unit=item.get("unit") or "",
            allowed=_allowed(item),
            missing=_missing(item.get("implausible") or []),
            required=bool(item.get("required")),
            identifier=bool(item.get("identifier")),
            change=_change(item, known) if known else "",
        )
        for item in variables
    ]


def page_with(position: int) -> int:
    """The draft's page on which the variable at a position (from 1) stands."""
    return (position - 1) // PAGE + 1


def draft_page(
    variables: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]], asked: str, variable: str
) -> DraftPage:
    """The page of the draft that is asked for, else the one with the variable that is changed."""
    pages = max(-(-len(variables) // PAGE), 1)
    place = next((place for place, item in enumerate(variables) if item["name"] == variable), 0)
    number = int(asked) if asked.isdecimal() and len(asked) < 9 else page_with(place + 1)
    number = min(max(number, 1), pages)
    rows = variable_rows(variables[(number - 1) * PAGE : number * PAGE], before)
    return DraftPage(tuple(rows), len(variables), number, pages, variable, _changes(variables, before))


def reading_page(reading: Reading) -> dict[str, Any]:
    """What a file holds, before it is saved."""
    variables = reading.dictionary.model_dump(mode="json")["variables"]
    return {
        "form_of": _(FORMS[reading.form]),
        "rows": variable_rows(variables),
        "notes": [_note_row(note) for note in reading.notes[:MOST_NOTES]],
        "more_notes": max(len(reading.notes) - MOST_NOTES, 0),
        "counts": [
            (sum(note.code == code for note in reading.notes), _(label), said(CODES[code]))
            for code, (label, _tone) in KINDS.items()
        ],
        "taken": json.dumps(variables, ensure_ascii=False),
    }


def _note_row(note: Note) -> NoteRow:
    kind, tone = KINDS[note.code]
    return NoteRow(note.row, note.column, note.variable, _(kind), tone, note.detail)


def _change(item: dict[str, Any], known: dict[str, dict[str, Any]]) -> str:
    if item["name"] not in known:
        return "new"
    return "" if known[item["name"]] == item else "changed"


def _changes(variables: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]]) -> str:
    """What a draft changes of the newest version, in words; nothing where it changes nothing."""
    known, names = {item["name"]: item for item in before}, {item["name"] for item in variables}
    found = [_change(item, known) for item in variables]
    kept = [item["name"] for item in variables if item["name"] in known]
    parts = [
        (found.count("new"), _("{number} new")),
        (found.count("changed"), _("{number} changed")),
        (sum(name not in names for name in known), _("{number} removed")),
    ]
    words = [word.format(number=number) for number, word in parts if number]
    if kept != [item["name"] for item in before if item["name"] in names]:
        words.append(_("another order"))
    return ", ".join(words)


def _allowed(item: dict[str, Any]) -> str:
    codes = item.get("codes") or []
    if codes:
        return ", ".join(_code(code) for code in codes)
    low, high = item.get("min"), item.get("max")
    if low is not None and high is not None:
        return _("{low} to {high}").format(low=value_text(low), high=value_text(high))
    if low is not None:
        return _("{low} or more").format(low=value_text(low))
    return _("{high} or less").format(high=value_text(high)) if high is not None else ""


def _code(code: dict[str, Any]) -> str:
    value, label = str(code["value"]), code.get("label", "")
    return value if not label or label == value else f"{value} = {label}"


def _missing(values: Sequence[Any]) -> str:
    return _("{values} means missing").format(values=", ".join(map(value_text, values))) if values else ""

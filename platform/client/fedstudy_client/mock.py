"""Synthetic rows from a data dictionary: for trying a script where there are no data of patients.

Values are drawn one by one and independently of each other, from the dictionary alone: types, ranges and codes fit,
what may be missing is so now and then, and values that stand for “not measured” appear as they do in real files.
"""

from __future__ import annotations

import csv
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from fedstudy_client.problem import FedStudyProblem

if TYPE_CHECKING:  # what reads files takes a moment to import
    from fedstudy_client.study_code.model import Variable

MISSING_SHARE, IMPLAUSIBLE_SHARE = 0.06, 0.03
USUAL_SPAN = 100.0
DIGITS = 2
_FIRST_DAY, _DAYS = date(1990, 1, 1), 12_000
_WORDS = ("calm", "stable", "improved", "unchanged", "referred", "reviewed", "follow-up", "none reported")
_READ_AS_MISSING = frozenset(
    ("", "#n/a", "#na", "-nan", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "<na>", "n/a", "na", "nan", "none", "null")
)
Draw = Callable[[random.Random], str]


def mock_rows(variables: Sequence[Variable], rows: int, *, seed: int = 0) -> Iterator[list[str]]:
    """The names of the columns, and then so many rows as a CSV file has them; the same seed gives the same.

    Columns that name patients are left out: no script ever sees them. The first row has a plausible value everywhere.

    Raises:
        FedStudyProblem: E_DICTIONARY for a variable that no value fits, or where nothing but identifiers is left.
    """
    columns = [variable for variable in variables if not variable.identifier]
    if not columns:
        raise FedStudyProblem("E_DICTIONARY", "The dictionary has no variable that a script may see.")
    draws = [_draw(variable) for variable in columns]
    source = random.Random(seed)  # noqa: S311 - the same rows for the same seed
    yield [variable.name for variable in columns]
    for number in range(rows):
        yield [_value(variable, draw, source, first=not number) for variable, draw in zip(columns, draws, strict=True)]


def write_mock(variables: Sequence[Variable], rows: int, into: Path, *, seed: int = 0) -> None:
    """Write synthetic rows as a CSV file, or print them for `-`. Raises FedStudyProblem: as `mock_rows`, E_FILE."""
    lines = list(mock_rows(variables, rows, seed=seed))
    if str(into) == "-":
        csv.writer(sys.stdout, lineterminator="\n").writerows(lines)
        return
    try:
        with into.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)
    except OSError as error:
        raise FedStudyProblem("E_FILE", f"{into} cannot be written: {error.strerror}.") from error


def _value(variable: Variable, draw: Draw, source: random.Random, *, first: bool) -> str:
    chance = source.random()
    if not first and variable.implausible and chance < IMPLAUSIBLE_SHARE:
        return _written(source.choice(variable.implausible))
    if not first and not variable.required and chance > 1 - MISSING_SHARE:
        return ""
    return draw(source)


def _draw(variable: Variable) -> Draw:
    """How one plausible value of a variable is drawn."""
    codes = _plausible(variable, [_written(code.value) for code in variable.codes])
    match variable.type:
        case "integer":
            return _draw_code(codes) if codes else _draw_integer(variable)
        case "number":
            return _draw_number(variable)
        case "categorical":
            if not codes:
                raise _impossible(variable)
            return _draw_code(codes)
        case "boolean":
            return _draw_code(_plausible(variable, ["true", "false"]) or ["true", "false"])
        case "date":
            return lambda source: (_FIRST_DAY + timedelta(days=source.randrange(_DAYS))).isoformat()
        case "text":
            return _draw_code(list(_WORDS))


def _plausible(variable: Variable, values: Sequence[str]) -> list[str]:
    """The values that fit the type and the range, do not stand for “missing”, and are not read as such from a CSV."""
    implausible = {_plain(_written(value)) for value in variable.implausible}
    kept = [value for value in values if _plain(value) not in implausible and value.lower() not in _READ_AS_MISSING]
    if variable.type == "integer":
        low, high = _bounds(variable)
        kept = [value for value in kept if _is_whole(value) and low <= float(value) <= high]
    return kept


def _draw_code(codes: Sequence[str]) -> Draw:
    return lambda source: source.choice(codes)


def _draw_integer(variable: Variable) -> Draw:
    low, high = _bounds(variable)
    least, most = math.ceil(low), math.floor(high)
    implausible = {_plain(_written(value)) for value in variable.implausible}
    if not any(str(value) not in implausible for value in range(least, min(most, least + len(implausible)) + 1)):
        raise _impossible(variable)

    def draw(source: random.Random) -> str:
        while (value := str(source.randint(least, most))) in implausible:
            continue
        return value

    return draw


def _draw_number(variable: Variable) -> Draw:
    low, high = _bounds(variable)
    implausible = {_plain(_written(value)) for value in variable.implausible}
    if low > high or (low == high and _plain(repr(low)) in implausible):
        raise _impossible(variable)
    digits = DIGITS if high - low >= 1 or low == high else DIGITS - math.floor(math.log10(high - low))

    def draw(source: random.Random) -> str:
        while True:
            value = min(max(round(source.uniform(low, high), digits), low), high)
            if _plain(repr(value)) not in implausible:
                return repr(value)

    return draw


def _bounds(variable: Variable) -> tuple[float, float]:
    """The range of a variable; where the dictionary leaves an end open, so much as people usually measure."""
    low, high = variable.min, variable.max
    if low is None and high is None:
        return 0.0, USUAL_SPAN
    if low is None:
        low = min(0.0, float(high or 0.0) - USUAL_SPAN)
    return float(low), float(low) + max(USUAL_SPAN, abs(float(low))) if high is None else float(high)


def _written(value: str | int | float) -> str:
    return str(value).strip()


def _plain(text: str) -> str:
    """A value so that 1, 1.0 and "1" are the same, as nodes compare them."""
    try:
        number = float(text)
    except ValueError:
        return text.strip()
    return str(int(number)) if number.is_integer() else repr(number)


def _is_whole(text: str) -> bool:
    try:
        return float(text).is_integer()
    except ValueError:
        return False


def _impossible(variable: Variable) -> FedStudyProblem:
    return FedStudyProblem("E_DICTIONARY", f"No plausible value fits “{variable.name}”.")

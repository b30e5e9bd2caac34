"""What becomes of one column before it leaves. What is not plainly harmless is refused, with the column's name only."""

import datetime
import hmac
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow
import pyarrow.compute as pc

from fedstudy_core import canonical
from fedstudy_core.dictionary import Variable
from fedstudy_core.errors import Refusal
from fedstudy_core.pooling.profile import Action, Band, Keep, Round, ShiftDays, Top
from fedstudy_node.pooling.rows import column
from fedstudy_node.validation import looks_like_identifier, written

_TRUE_FALSE = frozenset({"0", "1", "true", "false", "yes", "no"})
_SHIFT_DOMAIN = b"fedstudy-shift-v1\n"
_DECIMALS = 12  # what a band's edge may lose to binary fractions
_FEW = 10


@dataclass(frozen=True)
class Shifting:
    """What dates are shifted by: the node's secret, for one study; the same patient always moves by as much."""

    secret: bytes
    study: str

    def days(self, patient: str, most: int) -> int:
        """Return the shift of a patient: between -most and most, never 0."""
        told = _SHIFT_DOMAIN + canonical.dumps([self.study, canonical.plain_text(patient), most])
        drawn = int.from_bytes(hmac.digest(self.secret, told, "sha256")) % (2 * most)
        return drawn - most if drawn < most else drawn - most + 1


def act(table: pyarrow.Table, variable: Variable, action: Action, shifting: Shifting) -> pyarrow.ChunkedArray:
    """Return a column as it may leave.

    Raises:
        Refusal: E_POOL_COLUMNS for one that names patients, E_PROFILE for values or types that the action does not fit.
    """
    values = column(table, variable.name)
    if variable.identifier or looks_like_identifier(variable.name):
        raise Refusal("E_POOL_COLUMNS", f"“{variable.name}” names patients and never leaves.")
    if isinstance(action, ShiftDays):
        return _shifted(table, values, variable, action, shifting)
    match variable.type:
        case "integer" | "number":
            return _number(values, variable, action)
        case "categorical" | "boolean" if isinstance(action, Keep):
            return _coded(values, variable)
        case "text":
            raise _unfit(variable, "holds free text, which never leaves: drop it")
        case "date":
            raise _unfit(variable, "holds dates, which leave shifted only (shift_days): drop or shift it")
    raise _unfit(variable, f"holds codes, for which “{action.action}” means nothing: keep or drop it")


def _coded(values: pyarrow.ChunkedArray, variable: Variable) -> pyarrow.ChunkedArray:
    """Keep codes, when there is nothing else among them."""
    known = {written(code.value) for code in variable.codes} if variable.codes else _TRUE_FALSE
    found = {written(value) for value in pc.unique(values.drop_null()).to_pylist()}
    if variable.type == "boolean" and not variable.codes:
        found = {value.lower() for value in found}
    if not found <= known:
        raise _unfit(variable, "holds values that its coding does not list")
    return values


def _number(values: pyarrow.ChunkedArray, variable: Variable, action: Action) -> pyarrow.ChunkedArray:
    if not (pyarrow.types.is_integer(values.type) or pyarrow.types.is_floating(values.type)):
        raise _unfit(variable, "is not stored as numbers, so anything could be among them")
    _check_range(values, variable)
    made = _changed(values, action)
    there = made.drop_null()
    if len(there) >= _FEW and pc.count_distinct(there).as_py() == len(there):
        raise _unfit(
            variable, "has another value in each row, by which patients could be found: band, round or drop it"
        )
    return made


def _check_range(values: pyarrow.ChunkedArray, variable: Variable) -> None:
    """Let numbers leave only where the dictionary says between which bounds they lie, and they do."""
    if variable.min is None or variable.max is None:
        raise _unfit(variable, "has no range in the data dictionary, so a number of a record could be among its values")
    numbers = values.cast(pyarrow.float64()).drop_null().to_numpy()
    numbers = numbers[~np.isnan(numbers)]
    stand_ins = [float(value) for value in variable.implausible if not isinstance(value, str)]
    outside = (numbers < variable.min) | (numbers > variable.max)
    if bool(np.any(outside & ~np.isin(numbers, stand_ins))):
        raise _unfit(variable, "has values outside the range that the data dictionary gives")


def _changed(values: pyarrow.ChunkedArray, action: Action) -> pyarrow.ChunkedArray:
    whole = pyarrow.types.is_integer(values.type)
    match action:
        case Round():
            return pc.round(values.cast(pyarrow.float64()), ndigits=action.digits)
        case Band():
            width = float(Decimal(str(action.width)))
            if width <= 0:
                raise Refusal("E_PROFILE", "A band is wider than 0.")
            edges = pc.multiply(pc.floor(pc.divide(values.cast(pyarrow.float64()), width)), width)
            edges = pc.round(edges, ndigits=_DECIMALS)
            return edges.cast(pyarrow.int64()) if whole and width.is_integer() else edges
        case Top():
            at = float(Decimal(str(action.at)))
            cut = pc.min_element_wise(values.cast(pyarrow.float64()), at, skip_nulls=False)
            return cut.cast(pyarrow.int64()) if whole and at.is_integer() else cut
    return values


def _shifted(
    table: pyarrow.Table, values: pyarrow.ChunkedArray, variable: Variable, action: ShiftDays, shifting: Shifting
) -> pyarrow.ChunkedArray:
    if variable.type != "date":
        raise _unfit(variable, "holds no dates to shift")
    days = _days(values, variable)
    patients: list[str] = [""] * len(values)
    if action.patient is not None:
        named = column(table, action.patient)
        if named.null_count:
            raise _unfit(variable, f"is shifted by patient, and “{action.patient}” is empty in some rows")
        patients = [str(patient) for patient in named.to_pylist()]
    cached: dict[str, int] = {}
    moved = [
        None if day is None else day + cached.setdefault(patient, shifting.days(patient, action.most))
        for day, patient in zip(days, patients, strict=True)
    ]
    return pyarrow.chunked_array([pyarrow.array(moved, pyarrow.int32()).cast(pyarrow.date32())])


def _days(values: pyarrow.ChunkedArray, variable: Variable) -> list[int | None]:
    """Return dates as days since 1970; the time of the day stays here."""
    kind = values.type
    if pyarrow.types.is_timestamp(kind) or pyarrow.types.is_date(kind):
        days: list[int | None] = values.cast(pyarrow.date32(), safe=False).cast(pyarrow.int32()).to_pylist()
        return days
    try:
        return [None if text is None else _day(str(text)) for text in values.to_pylist()]
    except ValueError as error:
        raise _unfit(variable, "holds something else than dates written as YYYY-MM-DD") from error


def _day(text: str) -> int:
    return datetime.date.fromisoformat(text.strip()).toordinal() - datetime.date(1970, 1, 1).toordinal()


def _unfit(variable: Variable, what: str) -> Refusal:
    return Refusal("E_PROFILE", f"“{variable.name}” {what}.")


def in_words(action: Action) -> str:
    """Say what an action does."""
    match action:
        case Round():
            return f"rounded to {action.digits} decimals" if action.digits >= 0 else f"rounded to {10**-action.digits}s"
        case Band():
            return f"in bands of {action.width}"
        case Top():
            return f"at most {action.at}"
        case ShiftDays():
            by = f"by patient ({action.patient})" if action.patient else "all alike"
            return f"dates shifted by up to {action.most} days, {by}"
        case Keep():
            return "as it is"
    return "dropped"

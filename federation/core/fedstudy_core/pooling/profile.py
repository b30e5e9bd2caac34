"""How rows are made less telling before they leave: conditions on rows, and what becomes of each column."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from fedstudy_core.pooling.documents import Column, Count, Part

LEAST_GROUP = 10

Plain = bool | int | Annotated[str, Field(max_length=200)]
Decimal = Annotated[str, Field(pattern=r"^-?[0-9]{1,12}(\.[0-9]{1,12})?$")]


class Condition(Part):
    """Rows in which a column has such values. A number with a fraction is written as decimal text."""

    column: Column
    op: Literal["=", "!=", "<", "<=", ">", ">=", "in"]
    value: Plain | Annotated[list[Plain], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if isinstance(self.value, list) != (self.op == "in"):
            raise ValueError("“in” takes a list, everything else one value")
        return self

    def __str__(self) -> str:
        value = ", ".join(map(str, self.value)) if isinstance(self.value, list) else str(self.value)
        return f"{self.column} {self.op} {value}"


class Keep(Part):
    """The values leave as they are: numbers, true or false, and codes of the dictionary; no text, no dates."""

    action: Literal["keep"]


class Drop(Part):
    """The column stays here. So does every column that the profile does not name."""

    action: Literal["drop"]


class Round(Part):
    """Numbers are rounded to so many decimals; -1 is to tens."""

    action: Literal["round"]
    digits: Annotated[int, Field(ge=-9, le=9)]


class Band(Part):
    """Numbers become the lower edge of their band of this width."""

    action: Literal["band"]
    width: Count | Decimal


class Top(Part):
    """Larger numbers become this one."""

    action: Literal["top"]
    at: int | Decimal


class ShiftDays(Part):
    """Dates move by a secret number of days, the same for all dates of one patient, or of the whole site.

    Attributes:
        most: largest shift, either way.
        patient: the column that names patients; it need not leave.
    """

    action: Literal["shift_days"]
    most: Annotated[int, Field(ge=1, le=3650)]
    patient: Column | None = None


Action = Annotated[Keep | Drop | Round | Band | Top | ShiftDays, Field(discriminator="action")]


class Anonymity(Part):
    """At least so many rows share their values in the columns by which somebody could be recognised.

    Attributes:
        least: fewest rows of a group; below `LEAST_GROUP` only where the consent says so.
        columns: quasi-identifiers, of those that leave.
        suppress: leave rows of smaller groups out, instead of refusing the whole.
    """

    least: Count = LEAST_GROUP
    columns: Annotated[list[Column], Field(min_length=1, max_length=50)]
    suppress: bool = False


class Holdout(Part):
    """Which rows are for training: only those may leave, the rows that models are tested on stay.

    Attributes:
        complete: only rows with a value in each of these count, as the study's script prepares them.
        label: what the split is stratified by.
        train: share of the rows, a decimal number.
    """

    recipe: Literal["stratified"]
    label: Condition
    train: Annotated[str, Field(pattern=r"^0\.[0-9]{1,4}$")]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    complete: Annotated[list[Column], Field(min_length=1, max_length=2000)]

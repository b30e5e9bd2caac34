"""The file in which a site says what it would share with a study's pool node (consent.toml), and on what terms.

level = "F3"                        # F4: all training rows, and no filter
dataset = "heart"                   # its name or id at this node
retention_until = 2027-06-30        # the pool node destroys the rows then
days = 180                          # how long the consent is good for

[legal_basis]
gdpr6 = "6(1)(e)"
gdpr9 = "9(2)(j)"

[holdout]                           # which rows the study's script trains on
label = { column = "num", op = ">", value = 0 }
train = "0.66"
seed = 43
complete = ["age", "sex", "num"]    # rows without one of these do not count

[k]
columns = ["age", "sex"]            # by which somebody could be recognised
least = 10

[[filter]]
column = "age"
op = ">="
value = 40

[profile]                           # what is not named stays
age = { action = "band", width = 10 }
sex = { action = "keep" }
num = { action = "keep" }
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedstudy_core.errors import FieldProblem, Invalid
from fedstudy_core.pooling.consent import MAX_VALIDITY, Consent, LegalBasis
from fedstudy_core.pooling.profile import LEAST_GROUP, Action, Anonymity, Condition, Drop, Holdout
from fedstudy_core.times import format_time
from fedstudy_node.errors import NodeError

_LARGEST = 1024 * 1024


@dataclass(frozen=True)
class Terms:
    """What a consent says about rows and columns."""

    columns: Sequence[str]
    filter: Sequence[Condition]
    profile: Mapping[str, Action]
    holdout: Holdout
    k: Anonymity


class Wish(BaseModel):
    """What consent.toml holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    level: Literal["F3", "F4"]
    dataset: str
    retention_until: date
    days: Annotated[int, Field(ge=1, le=MAX_VALIDITY.days)] = 180
    legal_basis: LegalBasis
    holdout: Holdout
    k: Anonymity
    filter: list[Condition] = []
    profile: Annotated[dict[str, Action], Field(min_length=1)]

    @property
    def terms(self) -> Terms:
        """What it says about rows and columns; columns leave in the order in which the profile names them."""
        columns = [name for name, action in self.profile.items() if not isinstance(action, Drop)]
        return Terms(columns, self.filter, self.profile, self.holdout, self.k)

    @property
    def retained_until(self) -> datetime:
        """The end of the last day on which the pool node may hold the rows."""
        return datetime.combine(self.retention_until, time(), UTC) + timedelta(days=1)

    def ends(self, issued: datetime) -> str:
        """Return when the consent ends: after its days, and not after the rows are destroyed."""
        return format_time(min(issued + timedelta(days=self.days), self.retained_until))


def read_wish(file: Path) -> Wish:
    """Read consent.toml. Raises NodeError (E_PROFILE) for what is none, Invalid (E_PROFILE) naming its fields."""
    try:
        if file.stat().st_size > _LARGEST:
            raise NodeError("E_PROFILE", f"{file} is too large.")
        raw = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise NodeError("E_PROFILE", f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # no TOML, or no text
        raise NodeError("E_PROFILE", f"{file} is not written as TOML: {error}.") from error
    return parse_wish(raw)


def parse_wish(raw: Mapping[str, object]) -> Wish:
    """Return what a consent.toml says. Raises Invalid (E_PROFILE) naming the fields that do not fit."""
    try:
        return Wish.model_validate({**raw, "holdout": _recipe(raw.get("holdout"))})
    except ValidationError as error:
        problems = [
            FieldProblem(".".join(map(str, item["loc"])), "E_PROFILE", f"{item['msg']}.") for item in error.errors()
        ]
        raise Invalid("E_PROFILE", "The file does not say well what would leave.", errors=problems) from error


def _recipe(holdout: object) -> object:
    """There is one recipe so far; the file need not name it."""
    return {"recipe": "stratified", **holdout} if isinstance(holdout, Mapping) else holdout


def lowers(k: Anonymity) -> bool:
    """Whether the terms allow smaller groups than usual."""
    return k.least < LEAST_GROUP


def terms_of(consent: Consent) -> Terms:
    """Return what a consent says about rows and columns."""
    return Terms(consent.columns, consent.filter, consent.profile, consent.holdout, consent.k)

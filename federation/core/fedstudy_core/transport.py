"""How a model's numbers travel: as they are, or narrowed to 16 bits for the way and widened before anybody uses them.

Narrowed are arrays of 32 and 64 bits with a fraction. All else (whole numbers, a booster's bytes, what has 16 bits
already) travels as it is. A number that 16 bits cannot hold is refused, never sent as infinity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from fedstudy_core.errors import Refusal
from fedstudy_core.updates import Schema

Transport = Literal["float32", "float16"]
TRANSPORTS: Final[tuple[Transport, ...]] = get_args(Transport)
AS_IS: Final[Transport] = "float32"
HALF: Final[Transport] = "float16"
WIDE = ("float32", "float64")
LARGEST = float(np.finfo(np.float16).max)
SMALLEST_NORMAL = float(np.finfo(np.float16).smallest_normal)  # 2^-14; below it steps no longer shrink with the value
_BLOCK = 256 * 1024

Arrays = Mapping[str, np.ndarray]
Decimal = Annotated[str, Field(pattern=r"^[0-9]\.[0-9]{2}e[+-][0-9]{2,3}$")]


class RoundingTold(BaseModel):
    """A rounding as receipts and records tell it: numbers with a fraction are decimal text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    absolute: Decimal
    relative: Decimal
    vanished: Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Rounding:
    """What narrowing did to the numbers of one message.

    Attributes:
        absolute: the largest difference.
        relative: the largest difference as a share of the value, among values of 2^-14 and more; at most 2^-11.
        vanished: how many values that were not zero became zero.
    """

    absolute: float = 0.0
    relative: float = 0.0
    vanished: int = 0

    def __or__(self, other: Rounding) -> Rounding:
        """The rounding of both together."""
        return Rounding(
            max(self.absolute, other.absolute), max(self.relative, other.relative), self.vanished + other.vanished
        )

    def told(self) -> RoundingTold:
        return RoundingTold(absolute=f"{self.absolute:.2e}", relative=f"{self.relative:.2e}", vanished=self.vanished)


def is_narrowed(dtype: str) -> bool:
    """Whether arrays of this number type are narrowed."""
    return dtype in WIDE


def schema_on_the_way(schema: Schema, transport: Transport) -> Schema:
    """What arrays of this schema look like on the way."""
    if transport == AS_IS:
        return schema
    return {name: (shape, "float16" if is_narrowed(dtype) else dtype) for name, (shape, dtype) in schema.items()}


def narrow(array: np.ndarray, name: str = "") -> tuple[np.ndarray, Rounding]:
    """The array as it travels, each number rounded to the nearest of 16 bits, and what the rounding did.

    Args:
        name: of the array, for people.

    Raises:
        Refusal: E_TRANSPORT_RANGE when a number is beyond the largest of 16 bits (65504), or not finite.
    """
    if not is_narrowed(str(array.dtype)):
        return array, Rounding()
    flat = np.ascontiguousarray(array).reshape(-1)
    narrowed, rounding = np.empty(flat.shape, np.float16), Rounding()
    for begin in range(0, flat.size, _BLOCK):
        part = slice(begin, begin + _BLOCK)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            narrowed[part] = flat[part]
        if not np.isfinite(narrowed[part]).all():
            raise Refusal("E_TRANSPORT_RANGE", f"“{name}” holds a number beyond {LARGEST:.0f}, or not finite.")
        rounding |= _rounding(flat[part], narrowed[part])
    return narrowed.reshape(array.shape), rounding


def _rounding(values: np.ndarray, narrowed: np.ndarray) -> Rounding:
    off = np.abs(narrowed.astype(values.dtype) - values)
    size = np.abs(values)
    normal = size >= SMALLEST_NORMAL
    relative = np.divide(off, size, out=np.zeros_like(off), where=normal)
    vanished = np.count_nonzero(values) - np.count_nonzero(narrowed)
    return Rounding(float(off.max()), float(relative.max()), int(vanished))


def narrow_all(arrays: Arrays) -> tuple[dict[str, np.ndarray], Rounding]:
    """`narrow` for each array."""
    narrowed, rounding = {}, Rounding()
    for name, array in arrays.items():
        narrowed[name], lost = narrow(array, name)
        rounding |= lost
    return narrowed, rounding


def widen_like(arrays: Arrays, model: Arrays) -> dict[str, np.ndarray]:
    """The arrays in the number types of the model's; exact."""
    return {name: widen(array, str(model[name].dtype)) for name, array in arrays.items()}


def widen(array: np.ndarray, dtype: str) -> np.ndarray:
    """The array in the number type that it stands for; exact."""
    return array.astype(dtype, copy=False) if is_narrowed(dtype) else array

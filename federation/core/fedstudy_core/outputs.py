"""What a script declares that it sends back (`[tool.fedstudy.outputs]`): reviewers read it, nodes hold replies to it.

Nothing of it has to be declared; what is not declared is held to plainer rules (docs/protocol.md, "What may leave").
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from fedstudy_core.errors import Refusal

MOST_ARRAYS = 4_096
MOST_BINS = 1_000
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,119}")
_ANY = "*"

ArrayName = Annotated[str, Field(pattern=rf"^{PLAIN_NAME.pattern}$")]
Layout = Annotated[
    str,
    Field(
        pattern=r"^(float16|float32|float64|int8|int16|int32|int64|uint8|bool)\[((\d{1,12}|\*)(,(\d{1,12}|\*)){0,31})?\]$"
    ),
]
Layouts = Annotated[dict[ArrayName, Layout], Field(max_length=MOST_ARRAYS)]


class DeclaredOutputs(BaseModel):
    """The arrays and histograms of a script's replies. A layout is a dtype and a shape: `float32[1,13]`.

    Attributes:
        arrays: the model, in its order: what the first model and every update hold. A side may be `*` (any length).
        sums: what every site's answer to the `sums` query holds.
        bins: how long each histogram among the metrics is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    arrays: Layouts = Field(default_factory=dict)
    sums: Layouts = Field(default_factory=dict)
    bins: dict[str, Annotated[int, Field(ge=1, le=MOST_BINS)]] = Field(default_factory=dict)

    def contradiction(self, *, sums: str | None, kinds: Mapping[str, str]) -> str:
        """In what this does not fit the rest of the declaration; "" when it fits."""
        if self.sums and not sums:
            return "“outputs.sums” describes an answer that “sums” does not ask for."
        stray = sorted(name for name in self.bins if kinds.get(name) != "histogram")
        return f"“outputs.bins” names “{stray[0]}”, which is no declared histogram." if stray else ""


def check_layout(arrays: Mapping[str, np.ndarray], layouts: Mapping[str, str]) -> None:
    """Refuse arrays that are not laid out as declared, in the declared order.

    Raises:
        Refusal: E_UPDATE_NAMES, E_UPDATE_DTYPE, E_UPDATE_SHAPE.
    """
    if list(arrays) != list(layouts):
        raise Refusal("E_UPDATE_NAMES", "The arrays are not those that the script declares.")
    for name, layout in layouts.items():
        dtype, _, sides = layout.removesuffix("]").partition("[")
        array = arrays[name]
        if str(array.dtype) != dtype:
            raise Refusal("E_UPDATE_DTYPE", f"“{name}” is {array.dtype}; {dtype} is declared.")
        declared = sides.split(",") if sides else []
        fits = all(side in (_ANY, str(length)) for side, length in zip(declared, array.shape, strict=False))
        if len(declared) != array.ndim or not fits:
            raise Refusal("E_UPDATE_SHAPE", f"“{name}” has shape {array.shape}; [{sides}] is declared.")


def numbers_in(layouts: Mapping[str, str]) -> int | None:
    """How many numbers arrays of these layouts hold; None where a side is open."""
    shapes = [layout.removesuffix("]").partition("[")[2] for layout in layouts.values()]
    if any(_ANY in shape for shape in shapes):
        return None
    return sum(math.prod(int(side) for side in shape.split(",") if side) for shape in shapes)

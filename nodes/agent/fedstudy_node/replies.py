"""A script's reply between its process and the wire: opened, checked, narrowed where the run asks it, and packed again.

What is checked, the update's norm among it, are the numbers that the script gave. Narrowing comes after that and is the
same function for everybody: it adds nothing that the checked numbers do not say, and a script that keeps to a bound
exactly is not refused for a rounding. Sizes, digests and the ledger are of what leaves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fedstudy_core import artifacts, flower
from fedstudy_core.carriage import SHARED, widened_record
from fedstudy_core.errors import Refusal
from fedstudy_core.flower import Packed
from fedstudy_core.transport import AS_IS, HALF, Rounding, narrow_all
from fedstudy_node.egress import ARRAYS, Allowance, Cargo, check_reply
from fedstudy_node.flower import ArrayRecord, RecordDict
from fedstudy_node.names import check_names
from fedstudy_node.open_egress import check_open_reply

Model = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Reply:
    """A checked reply. Its packed bytes are exactly those that its receipt names by `update_sha256`.

    Attributes:
        cargo: what leaves.
        checked: the numbers as the script gave them.
        rounding: what narrowing did to them; None where they leave as they are.
    """

    cargo: Cargo
    checked: Cargo
    rounding: Rounding | None = None

    @property
    def content(self) -> RecordDict:
        """The content that leaves."""
        return self.cargo.content

    @cached_property
    def packed(self) -> Packed:
        """The content that leaves as it travels, its arrays where they lie."""
        return Packed(flower.pieces_of(self.content))

    @property
    def kept(self) -> Sequence[flower.Data]:
        """The packed content before narrowing: what the node keeps, to answer the same again."""
        return self.packed.pieces if self.rounding is None else flower.pieces_of(self.checked.content)


def read_reply(packed: bytes | bytearray | memoryview, allowance: Allowance) -> Reply:
    """Check what came from the script's process.

    Raises:
        Refusal: E_OUTPUT_SIZE, E_REPLY, a code of `check_reply`, `check_open_reply` or `check_names`, or
            E_TRANSPORT_RANGE.
    """
    _check_size(len(packed), allowance)
    check = check_open_reply if allowance.declaration.server == "own" else check_reply
    content = flower.unpack(packed)
    cargo = check(content, allowance)
    check_names(cargo.content, allowance.words)
    reply = _narrowed(cargo) if allowance.transport == HALF and cargo.arrays else Reply(cargo, cargo)
    _check_size(reply.packed.size, allowance)
    return reply


def _narrowed(cargo: Cargo) -> Reply:
    arrays, rounding = {}, Rounding()
    for name, values in cargo.arrays.items():
        arrays[name], lost = narrow_all(values)
        rounding |= lost
    return Reply(replace(cargo, arrays=arrays, came=None), cargo, rounding)


def as_meant(content: RecordDict, transport: str) -> RecordDict:
    """Return a message's content with its model, and what a strategy sends beside it, as the script shall see them.

    What the sites added up (`SHARED`) always travels as it is. Raises Refusal (E_ORDER).
    """
    if transport == AS_IS:
        return content
    try:
        return RecordDict(
            {
                name: widened_record(record) if isinstance(record, ArrayRecord) and name != SHARED else record
                for name, record in content.items()
            }
        )
    except Refusal as error:
        raise _unreadable() from error


def _check_size(size: int, allowance: Allowance) -> None:
    if size > allowance.outputs.max_bytes:
        raise Refusal("E_OUTPUT_SIZE", f"The reply has {size} bytes; {allowance.outputs.max_bytes} are approved.")


def model_of(content: RecordDict) -> Model | None:
    """Return the model that a message carries. Raises Refusal (E_ORDER)."""
    record = content.get(ARRAYS)
    if not isinstance(record, ArrayRecord) or not record:
        return None
    try:
        return flower.arrays_of(record)
    except Refusal as error:
        raise _unreadable() from error


def model_sha256(model: Model | None) -> str | None:
    """Return a model's content address, computed here. Raises Refusal (E_ORDER)."""
    if model is None:
        return None
    try:
        return artifacts.digest_of(artifacts.pieces_of(model))
    except (Refusal, ValueError, TypeError, KeyError) as error:
        raise _unreadable() from error


def _unreadable() -> Refusal:
    return Refusal("E_ORDER", "The model that came cannot be read.")

"""Records of arrays that travel narrowed (`transport`) in Flower's messages.

A narrowed array of a message says by its `dtype` what it stands for, while its data are of 16 bits.
"""

from __future__ import annotations

from flwr.app import ArrayRecord

from fedstudy_core import flower
from fedstudy_core.errors import Refusal
from fedstudy_core.transport import Arrays, Rounding, is_narrowed, narrow, widen

SHARED = "shared"  # the record of what the sites added up: it travels as it is, also where a run narrows


def narrowed_record(arrays: Arrays) -> tuple[ArrayRecord, Rounding]:
    """The arrays as a message carries them, and what the rounding did. Raises Refusal as `narrow`."""
    items, rounding = {}, Rounding()
    for name, array in arrays.items():
        narrowed, lost = narrow(array, name)
        items[name] = flower.array(narrowed)
        items[name].dtype = str(array.dtype)
        rounding |= lost
    return flower.record_of(items), rounding


def widened_record(record: ArrayRecord) -> ArrayRecord:
    """The record as it was meant, of a message that came narrowed.

    Raises:
        Refusal: E_ORDER for an array that was not narrowed or does not say what it stands for; as `flower.arrays_of`.
    """
    widened = {}
    for name, array in flower.arrays_of(record).items():
        meant, came = record[name].dtype, str(array.dtype)
        if came == meant and not is_narrowed(came):
            widened[name] = record[name]
        elif came == "float16" and is_narrowed(meant):
            widened[name] = flower.array(widen(array, meant))
        else:
            raise Refusal("E_ORDER", "An array does not travel as the message says.")
    return flower.record_of(widened)

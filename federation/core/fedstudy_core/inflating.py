"""Flower's objects put together from their contents, with the arrays' data in a file instead of in memory three times.

Flower's own way holds all contents, then a copy of each chunk, then the arrays made of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from flwr.app import Array, ArrayRecord
from flwr.app.message.arraychunk import ArrayChunk
from flwr.proto.message_pb2 import ObjectTree
from flwr.supercore.inflatable.inflatable_object import (
    InflatableObject,
    get_object_body,
    get_object_children_ids_from_object_content,
    get_object_type_from_object_content,
    iterate_object_tree,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents

from fedstudy_core.flower import record_of
from fedstudy_core.spool import Memory, Spool

_STEP = 16


def inflate(tree: ObjectTree, fetch: Callable[[str], bytes], folder: Path | None) -> tuple[InflatableObject, int]:
    """The object of a tree, and the bytes of its contents.

    Args:
        fetch: the content of the object of that id, checked against it; each is asked for once.
        folder: where the data of arrays are put into a file; None for memory.

    Raises:
        OSError: there is no room in the folder.
        ValueError, KeyError, TypeError, IndexError: the contents do not fit together.
    """
    contents: dict[str, bytes] = {}
    places: dict[str, slice] = {}
    spool: Spool | Memory | None = None
    size = 0
    for node in iterate_object_tree(tree):
        if node.object_id in contents or node.object_id in places:
            continue
        content = fetch(node.object_id)
        size += len(content)
        if not _is(content, ArrayChunk):
            contents[node.object_id] = content
            if spool is not None:  # the next array begins where numbers of any size may lie
                spool.write(bytes(-spool.size % _STEP))
            continue
        spool = spool or (Memory() if folder is None else Spool(folder))
        begin = spool.size
        spool.write(get_object_body(content, ArrayChunk))
        places[node.object_id] = slice(begin, spool.size)
    data = memoryview(b"") if spool is None else spool.whole()
    arrays = {name: _array(content, places, data) for name, content in contents.items() if _is(content, Array)}
    records = {name: _record(content, arrays) for name, content in contents.items() if _is(content, ArrayRecord)}
    return inflate_object_from_contents(tree.object_id, contents, objects={**arrays, **records}), size


def _is(content: bytes, kind: type[InflatableObject]) -> bool:
    return get_object_type_from_object_content(content) == kind.__qualname__


def _array(content: bytes, places: Mapping[str, slice], data: memoryview) -> Array:
    """An array, its data a view of `data` where its chunks lie there one after the other."""
    children = get_object_children_ids_from_object_content(content)
    array = Array.inflate(content, {name: ArrayChunk(memoryview(b"")) for name in children})
    pieces = [places[children[place]] for place in json.loads(get_object_body(content, Array))["arraychunk_ids"]]
    whole = _joined(pieces)
    if whole is None:  # chunks that are alike lie there once
        array.data = b"".join(data[piece] for piece in pieces)
    else:
        array.data = data[whole]  # type: ignore[assignment]  # Flower's own reading takes any buffer
    return array


def _record(content: bytes, arrays: Mapping[str, Array]) -> ArrayRecord:
    """A record of arrays; Flower's own way to make one takes no views."""
    refs = json.loads(get_object_body(content, ArrayRecord))
    children = set(get_object_children_ids_from_object_content(content))
    if set(refs.values()) != children:
        raise ValueError("a record's arrays are not those that it names")
    return record_of({name: arrays[ref] for name, ref in refs.items()})


def _joined(pieces: Sequence[slice]) -> slice | None:
    """The pieces as one, where each begins at the end of the one before."""
    if not pieces or any(before.stop != after.start for before, after in pairwise(pieces)):
        return None
    return slice(pieces[0].start, pieces[-1].stop)

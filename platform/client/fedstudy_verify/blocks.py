"""A long log in blocks of lines, which all processors read at once; the tree is then grown from them in their order."""

from __future__ import annotations

import io
import multiprocessing
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import chain

from fedstudy_verify.rows import Bad, Rows
from fedstudy_verify.told import Told

SIZE = 4 << 20
_BEGINS = re.compile(rb'\{"(?:position":|hidden":\[)(0|[1-9][0-9]{0,15})[,\]]')
Hashes = list[tuple[bytes, int]]


@dataclass
class Block:
    """What some lines add to the tree.

    Attributes:
        lines: of each line the position it begins at and its hashes, up to the first line that does not hold.
        last: the position of the last event shown; -1 for none.
        told: the events of which it matters what they say, by their lines in the block.
        problem: what is wrong with the line after them; empty when all hold.
    """

    lines: list[tuple[int, Hashes]] = field(default_factory=list)
    events: int = 0
    hidden: int = 0
    last: int = -1
    problem: str = ""
    told: list[Told] = field(default_factory=list)


def read_block(data: bytes) -> Block:
    """Read the lines of a block, which is taken to begin where its first line says."""
    begins = _BEGINS.match(data)
    rows, block = Rows(int(begins[1]) if begins else 0), Block()
    for line in io.BytesIO(data):
        position = rows.position
        try:
            block.lines.append((position, list(rows.read(line))))
        except Bad as error:
            block.problem = f"{error}"
            break
    block.events, block.hidden, block.last = rows.events, rows.hidden, rows.last
    block.told = rows.told
    return block


def read_blocks(lines: Iterable[bytes]) -> Iterator[tuple[bytes, Block]]:
    """Every block of lines with what it adds; a short log is read right here."""
    found = _gathered(lines)
    first = next(found, b"")
    second = next(found, b"")
    if not second:
        yield first, read_block(first)
        return
    count = os.cpu_count() or 1
    waiting: deque[tuple[bytes, Future[Block]]] = deque()
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        for following in chain((first, second), found):
            waiting.append((following, pool.submit(read_block, following)))
            if len(waiting) > 2 * count:
                data, block = waiting.popleft()
                yield data, block.result()
        for data, block in waiting:
            yield data, block.result()


def _gathered(lines: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= SIZE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)

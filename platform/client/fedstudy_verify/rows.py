"""One line of `log.jsonl` after another: an event with its leaf, or a run of events that are not shown.

A line has one spelling; every byte of it is either compared with what it must be or bound by the tree. A leaf says in
which form it is written: of form 1 names and detail are bound to it, of form 2 the context of the event as well.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Iterator
from hashlib import sha256
from json.decoder import scanstring  # type: ignore[attr-defined]
from json.encoder import encode_basestring

from fedstudy_verify.told import Told, matters, told_of
from fedstudy_verify.tree import levels

_TEXT = rb'\{"salt":"([0-9a-f]{32})","text":("[^"\\]*(?:\\.[^"\\]*)*")\}'
EVENT = re.compile(
    rb'\{"position":(0|[1-9][0-9]{0,15}),"hash":"([0-9a-f]{64})","names":'
    + _TEXT
    + rb',"detail":'
    + _TEXT
    + rb'(?:,"context":'
    + _TEXT
    + rb')?,"leaf":(?P<leaf>\{[^\n]*\})\}\n'
)
HIDDEN = re.compile(
    rb'\{"hidden":\[(0|[1-9][0-9]{0,15}),([1-9][0-9]{0,15})\],"roots":\[("[0-9a-f]{64}"(?:,"[0-9a-f]{64}")*)\]\}\n'
)
_FIRST, _SECOND = b',"v":1}', b',"v":2}'  # how leaves of either form end
_DOMAIN = b"fedstudy-text-v1\n"


class Bad(Exception):
    """A line that does not hold; says why."""


class Rows:
    """The lines, as hashes for the tree.

    Attributes:
        position: which event it should begin with, from 0.
        events, hidden: how many were there so far.
        line: how many lines were read.
        told: the shown events of which it matters what they say.
        last: the position of the last event that is shown; -1 before the first.
    """

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self.events = self.hidden = self.line = 0
        self.last = -1
        self.told: list[Told] = []

    def read(self, line: bytes) -> Iterator[tuple[bytes, int]]:
        """The hashes that a line adds to the tree, each with the level of its subtree (0 for an event).

        Raises:
            Bad: the line does not hold.
        """
        self.line += 1
        found = EVENT.fullmatch(line)
        if found is None:
            yield from self._hidden(line)
            return
        position, hash_, names_salt, names, detail_salt, detail, context_salt, context, leaf = found.groups()
        if int(position) != self.position:
            raise Bad(f"event {self.position} should be here, and this says it is event {int(position)}")
        digest = sha256(b"\x00" + leaf).digest()
        if digest != unhexlify(hash_):
            raise Bad("the leaf is not the one that was hashed")
        if b'"detail":"%s",' % _commitment(detail_salt, detail) not in leaf:
            raise Bad("the details of the event are not those that its leaf is bound to")
        if b'"names":"%s",' % _commitment(names_salt, names) not in leaf:
            raise Bad("the names of the event are not those that its leaf is bound to")
        _check_context(leaf, context_salt, context)
        if matters(leaf):
            told = told_of(self.line, self.position, leaf, _plain(detail).decode())
            if told is None:
                raise Bad("the leaf is not written as the log writes them")
            self.told.append(told)
        self.last = self.position
        self.position += 1
        self.events += 1
        yield digest, 0

    def _hidden(self, line: bytes) -> Iterator[tuple[bytes, int]]:
        found = HIDDEN.fullmatch(line)
        if found is None:
            raise Bad("this is no line of a log")
        start, end = int(found[1]), int(found[2])
        roots = found[3].strip(b'"').split(b'","')
        if start != self.position or end <= start:
            raise Bad(f"event {self.position} should be here")
        heights = levels(start, end)
        if len(heights) != len(roots):
            raise Bad("the events that are not shown are not covered")
        self.position = end
        self.hidden += end - start
        for root, level in zip(roots, heights, strict=True):
            yield unhexlify(root), level


def _check_context(leaf: bytes, salt: bytes | None, text: bytes | None) -> None:
    """Raises Bad unless a leaf of form 2 stands with the context that it is bound to, and one of form 1 with none."""
    if salt is None or text is None:
        if not leaf.endswith(_FIRST):
            raise Bad("the context of the event is not there")
    elif not leaf.endswith(_SECOND) or b'"context":"%s",' % _commitment(salt, text) not in leaf:
        raise Bad("the context of the event is not the one that its leaf is bound to")


def _commitment(salt: bytes, text: bytes) -> bytes:
    return sha256(_DOMAIN + unhexlify(salt) + _plain(text)).hexdigest().encode()


def _plain(literal: bytes) -> bytes:
    """The text of a JSON string, which must be written the one way."""
    if b"\\" not in literal:
        return literal[1:-1]
    try:
        written = literal.decode()
        text, end = scanstring(written, 1)
        if end != len(written) or encode_basestring(text) != written:
            raise Bad("a text is not written in its one way")
        return str(text).encode()
    except ValueError as error:
        raise Bad("a text is not written as JSON") from error

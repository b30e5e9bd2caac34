"""Two versions of a file side by side in one column: what went, what came, and which words differ."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from fedstudy_core.analysis.amendment import FileChange
from portal.web.highlight import BINARY_NOTICE, as_text

CONTEXT = 3
MOST_LINES, MOST_ROWS = 6000, 4000
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
Segments = tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class DiffRow:
    """A line: ``kind`` is "same", "gone", "come" or "skip"; each segment says whether it differs."""

    kind: str
    old: int | None
    new: int | None
    segments: Segments

    @property
    def sign(self) -> str:
        return {"gone": "−", "come": "+"}.get(self.kind, "")


@dataclass(frozen=True)
class FileDiff:
    """A changed file with its rows, or a sentence where it cannot be compared by lines."""

    change: FileChange
    rows: Sequence[DiffRow]
    notice: str = ""


def file_diffs(changes: Sequence[FileChange], old: Mapping[str, bytes], new: Mapping[str, bytes]) -> list[FileDiff]:
    """The changed files, line by line; a page shows at most `MOST_ROWS` lines of them all."""
    left = MOST_ROWS
    found: list[FileDiff] = []
    for change in changes:
        diff = _file_diff(change, old.get(change.path, b""), new.get(change.path, b""))
        if len(diff.rows) > left:
            diff = FileDiff(change, (), _("This page is long enough; look at the file in the source."))
        left -= len(diff.rows)
        found.append(diff)
    return found


def _file_diff(change: FileChange, old: bytes, new: bytes) -> FileDiff:
    before, after = as_text(old), as_text(new)
    if before is None or after is None:
        return FileDiff(change, (), _(BINARY_NOTICE))
    left, right = before.splitlines(), after.splitlines()
    if max(len(left), len(right)) > MOST_LINES:
        return FileDiff(change, (), _("The file is too long to compare line by line."))
    rows = tuple(diff_rows(left, right))
    return FileDiff(change, rows, "" if rows else _("Only line ends differ."))


def diff_rows(old: Sequence[str], new: Sequence[str]) -> Iterator[DiffRow]:
    """The rows of a unified diff with `CONTEXT` lines around each change."""
    matcher = difflib.SequenceMatcher(None, old, new)
    end = 0
    for group in matcher.get_grouped_opcodes(CONTEXT):
        if group[0][1] > end:
            yield DiffRow("skip", None, None, ())
        end = group[-1][2]
        for tag, i, j, k, m in group:
            if tag == "equal":
                for offset, text in enumerate(old[i:j]):
                    yield DiffRow("same", i + offset + 1, k + offset + 1, ((text, False),))
            else:
                yield from _changed(old[i:j], new[k:m], i, k)


def _changed(gone: Sequence[str], come: Sequence[str], i: int, k: int) -> Iterator[DiffRow]:
    """Lines that went, then lines that came; where they pair up, the words that differ are marked."""
    paired = [_words(a, b) for a, b in zip(gone, come, strict=False)] if len(gone) == len(come) else []
    for offset, text in enumerate(gone):
        yield DiffRow("gone", i + offset + 1, None, paired[offset][0] if paired else ((text, False),))
    for offset, text in enumerate(come):
        yield DiffRow("come", None, k + offset + 1, paired[offset][1] if paired else ((text, False),))


def _words(before: str, after: str) -> tuple[Segments, Segments]:
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if max(len(old), len(new)) > 400:
        return ((before, False),), ((after, False),)
    left: list[tuple[str, bool]] = []
    right: list[tuple[str, bool]] = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if j > i:
            left.append(("".join(old[i:j]), tag != "equal"))
        if m > k:
            right.append(("".join(new[k:m]), tag != "equal"))
    return tuple(left), tuple(right)

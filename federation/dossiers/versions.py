"""The run's script: its sources, and how it came to be what it is, version by version."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fedstudy_core.archives import read_archive
from fedstudy_core.bundle import MANIFEST
from fedstudy_core.times import format_time
from studies.scripts.models import ScriptVersion

MOST_LINES = 6_000
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Step:
    """A version and what it changed against the one before: a unified diff, empty for the first.

    Attributes:
        plus, minus: lines that came and went.
    """

    number: int
    sha256: str
    submitted_by: str
    submitted_at: str
    state: str
    files: tuple[str, ...]
    plus: int
    minus: int
    diff: str

    @property
    def path(self) -> str:
        """Where the dossier has the diff."""
        return f"script/changes/version-{self.number}.diff" if self.diff else ""


def history_of(version: ScriptVersion) -> list[Step]:
    """Every version of the script up to this one, the first first; one bundle at a time is held."""
    rows = version.script.versions.filter(number__lte=version.number).select_related("created_by").order_by("number")
    steps: list[Step] = []
    before: Files | None = None
    for row in rows.iterator(chunk_size=1):
        now = read_archive(bytes(row.bundle))
        steps.append(_step(row, before, now))
        before = now
    return steps


def _step(row: ScriptVersion, before: Files | None, now: Files) -> Step:
    paths = sorted({*(before or now), *now} - {MANIFEST})
    changed = [] if before is None else [path for path in paths if before.get(path) != now.get(path)]
    lines = [line for path in changed for line in _diff(path, (before or {}).get(path), now.get(path))]
    return Step(
        number=row.number,
        sha256=row.sha256,
        submitted_by=row.created_by.name,
        submitted_at=format_time(row.submitted_at),
        state=row.state,
        files=tuple(changed),
        plus=sum(line.startswith("+") and not line.startswith("+++") for line in lines),
        minus=sum(line.startswith("-") and not line.startswith("---") for line in lines),
        diff="".join(f"{line}\n" for line in lines),
    )


def _diff(path: str, old: bytes | None, new: bytes | None) -> Iterator[str]:
    left, right = _lines(old), _lines(new)
    names = f"a/{path}" if old is not None else "/dev/null", f"b/{path}" if new is not None else "/dev/null"
    if left is None or right is None or max(len(left), len(right)) > MOST_LINES:
        yield f"Files {names[0]} and {names[1]} differ"
        return
    yield from difflib.unified_diff(left, right, *names, lineterm="")


def _lines(content: bytes | None) -> list[str] | None:
    """A text's lines; None for what is no text."""
    if content is None:
        return []
    try:
        return content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return None

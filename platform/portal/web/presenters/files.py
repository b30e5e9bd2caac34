"""The files of a bundle as a tree, and one of them line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.safestring import SafeString

from fedstudy_core.analysis import Finding, Risk, highest
from portal.web.presenters.findings import by_line


@dataclass
class Folder:
    """A folder with what is in it, folders first."""

    name: str
    folders: dict[str, Folder] = field(default_factory=dict)
    files: list[FileRow] = field(default_factory=list)


@dataclass(frozen=True)
class FileRow:
    """A file of the bundle; ``findings`` counts those in it and ``risk`` is the highest of theirs."""

    path: str
    name: str
    size: int
    sha256: str
    is_shown: bool
    findings: int
    risk: str


@dataclass(frozen=True)
class TreeRow:
    """A row of the tree as it is drawn: a folder, or a file."""

    depth: int
    folder: str
    file: FileRow | None


@dataclass(frozen=True)
class SourceLine:
    """A line of a file with the findings in it and the number of its threads."""

    number: int
    html: SafeString
    findings: Sequence[Finding]
    threads: int

    @property
    def risk(self) -> str:
        """The highest risk of the line's findings, "" without one."""
        return highest(list(self.findings)) or ""


def file_rows(files: Sequence[Mapping[str, Any]], shown: str, findings: Sequence[Finding]) -> list[FileRow]:
    """The bundle's files in the order of their paths."""
    return [_row(item, shown, findings) for item in sorted(files, key=lambda item: item["path"])]


def _row(item: Mapping[str, Any], shown: str, findings: Sequence[Finding]) -> FileRow:
    path = item["path"]
    here = [finding for finding in findings if finding.path == path]
    risk = highest(here) or Risk.LOW
    name = path.rpartition("/")[2]
    return FileRow(path, name, item["size"], item["sha256"], path == shown, len(here), risk.value)


def tree_rows(rows: Sequence[FileRow]) -> list[TreeRow]:
    """The files as a tree, from the top."""
    top = Folder("")
    for row in rows:
        place = top
        for name in row.path.split("/")[:-1]:
            place = place.folders.setdefault(name, Folder(name))
        place.files.append(row)
    return list(_drawn(top, 0))


def _drawn(folder: Folder, depth: int) -> Iterator[TreeRow]:
    for inner in folder.folders.values():
        yield TreeRow(min(depth, 4), inner.name, None)
        yield from _drawn(inner, depth + 1)
    for row in folder.files:
        yield TreeRow(min(depth, 4), "", row)


def first_file(files: Sequence[Mapping[str, Any]]) -> str:
    """The file to show first: the client app where there is one, since that is what runs on the data."""
    paths = sorted(item["path"] for item in files)
    wanted = [path for path in paths if path.endswith("client_app.py")]
    wanted += [path for path in paths if path.endswith(".py") and not path.endswith("__init__.py")]
    return (wanted or paths or [""])[0]


def source_lines(
    lines: Sequence[SafeString], path: str, findings: Sequence[Finding], threads: Mapping[int, int]
) -> list[SourceLine]:
    """The file's lines; findings beyond its end, which only an altered file would have, go to the last line."""
    placed: dict[int, list[Finding]] = {}
    for line, items in by_line(findings, path).items():
        placed.setdefault(min(line, len(lines)), []).extend(items)
    return [
        SourceLine(number, html, placed.get(number, []), threads.get(number, 0)) for number, html in enumerate(lines, 1)
    ]

"""What the portal answers about reviews: threads, changes and checklists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fedstudy_client.records import Name, Record


@dataclass(frozen=True)
class Thread(Record):
    """A question or comment on a version. Kinds: question, comment; states: open, resolved.

    `comments` are its texts in order: [{id, author, speaks_for, text, written_at}].
    """

    id: str
    version: str
    kind: str
    state: str
    path: str
    line: int | None
    opened_by: Name
    opened_at: datetime
    comments: list[dict[str, Any]]
    site: Name | None = None
    resolved_by: Name | None = None
    resolved_at: datetime | None = None


@dataclass(frozen=True)
class Comment(Record):
    """A text in a thread."""

    id: str
    author: Name
    text: str
    written_at: datetime
    speaks_for: str = ""


@dataclass(frozen=True)
class Changes(Record):
    """What a version changes against another one. `files` have a unified diff each."""

    against: str
    risk: str
    reasons: list[str]
    files: list[dict[str, Any]]
    parameters: list[str]
    outputs: list[str]
    dependencies: list[str]
    new_findings: list[dict[str, Any]]


@dataclass(frozen=True)
class Checklist(Record):
    """The reviewers' checklist: `items` are [{key, question, hint}], `ticks` what reviewers of one's sites ticked."""

    edition: int
    items: list[dict[str, Any]]
    ticks: list[dict[str, Any]]

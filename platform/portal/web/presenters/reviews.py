"""A version's review: threads, and the checklists of the reader's sites."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from accounts.models import Site, User
from portal.web.forms.reviews import AnswerForm
from studies.scripts.checklist import EDITION, ITEMS
from studies.scripts.models import ReviewComment, ReviewThread, ReviewTick


@dataclass(frozen=True)
class ThreadCard:
    """A thread with its comments; ``where`` is the file and line that it is about."""

    id: UUID
    kind: str
    state: str
    where: str
    path: str
    line: int | None
    resolved_by: str
    comments: Sequence[ReviewComment]
    form: AnswerForm

    @property
    def turn(self) -> str:
        """The verb that ends the thread, or takes it up again."""
        return "resolve" if self.state == "open" else "reopen"


@dataclass(frozen=True)
class CheckRow:
    """An item of the list: whether the reader ticked it, and who else of the site did."""

    key: str
    question: str
    hint: str
    mine: dt.datetime | None
    others: Sequence[str]


@dataclass(frozen=True)
class Checklist:
    """One site's list for the reader."""

    site: Site
    rows: Sequence[CheckRow]

    @property
    def done(self) -> int:
        return sum(row.mine is not None for row in self.rows)

    @property
    def total(self) -> int:
        return len(self.rows)


def thread_cards(threads: Iterable[ReviewThread]) -> list[ThreadCard]:
    """The threads, open ones first, each in the order in which it was opened."""
    cards = [
        ThreadCard(
            id=thread.pk,
            kind=thread.kind,
            state=thread.state,
            where=f"{thread.path}:{thread.line}" if thread.line else thread.path,
            path=thread.path,
            line=thread.line,
            resolved_by=thread.resolved_by.name if thread.resolved_by else "",
            comments=list(thread.comments.all()),
            form=AnswerForm(auto_id=f"answer-{thread.pk}-%s"),
        )
        for thread in threads
    ]
    return sorted(cards, key=lambda card: card.state != "open")


def threads_by_line(threads: Iterable[ReviewThread], path: str) -> Counter[int]:
    """How many open threads each line of a file has."""
    return Counter(item.line for item in threads if item.path == path and item.line and item.state == "open")


def checklists(sites: Sequence[Site], ticks: Iterable[ReviewTick], reader: User) -> list[Checklist]:
    """A list for each site that the reader reviews for."""
    current = [tick for tick in ticks if tick.edition == EDITION]
    return [Checklist(site, [_check_row(item, site, current, reader) for item in ITEMS]) for site in sites]


def _check_row(item: Any, site: Site, ticks: Sequence[ReviewTick], reader: User) -> CheckRow:
    here = [tick for tick in ticks if tick.site_id == site.pk and tick.item == item.key]
    mine = next((tick.ticked_at for tick in here if tick.reviewer_id == reader.pk), None)
    others = [tick.reviewer.name for tick in here if tick.reviewer_id != reader.pk]
    return CheckRow(item.key, _(item.question), _(item.hint), mine, others)

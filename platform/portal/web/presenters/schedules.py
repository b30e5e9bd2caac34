"""Schedules in words."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from federation.runs.models import Run, Schedule
from portal.web.forms.schedules import WEEKDAYS


@dataclass(frozen=True)
class ScheduleRow:
    """One line of the list."""

    id: UUID
    label: str
    state: str
    when: str
    template: Run
    next_at: dt.datetime | None
    last_at: dt.datetime | None
    last_run: Run | None
    problem: str
    by: str

    @property
    def key(self) -> str:
        """The id as text, for the page's own names."""
        return str(self.id)


def present_schedule(schedule: Schedule) -> ScheduleRow:
    """A schedule as the list shows it."""
    return ScheduleRow(
        id=schedule.pk,
        label=schedule.label,
        state=schedule.state,
        when=in_words(schedule),
        template=schedule.template,
        next_at=schedule.next_at if schedule.state == "active" else None,
        last_at=schedule.last_at,
        last_run=schedule.last_run,
        problem=schedule.last_problem,
        by=schedule.created_by.name,
    )


def in_words(schedule: Schedule) -> str:
    """When it makes its run, such as "every Monday at 02:00 (Europe/Rome)"."""
    if schedule.kind == "ready":
        needed = schedule.sites_needed or 1
        words = ngettext("when {number} of its sites is there", "when {number} of its sites are there", needed)
        return words.format(number=needed)
    if schedule.kind == "once" or schedule.time is None:
        return _("once")
    at = {"time": f"{schedule.time:%H:%M}", "zone": schedule.time_zone}
    if len(schedule.weekdays) == len(WEEKDAYS):
        return _("every day at {time} ({zone})").format(**at)
    days = ", ".join(str(WEEKDAYS[day]) for day in schedule.weekdays)
    return _("every {days} at {time} ({zone})").format(days=days, **at)

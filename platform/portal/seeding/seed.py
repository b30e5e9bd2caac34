"""Filling an empty database with a synthetic portal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Site, User
from audit.models import Event
from fedstudy_core.errors import Conflict
from notifications.models import Notification
from portal.seeding.copying import Chance, copy
from portal.seeding.events import write_events
from portal.seeding.people import Cast, Groups, make_cast, write_people, write_sites
from portal.seeding.runs import make_runs, write_plans, write_rounds, write_runs
from portal.seeding.scripts import make_scripts, write_scripts, write_threads
from portal.seeding.shape import Shape
from portal.seeding.studies import SeededStudy, add_groups, make_studies, write_parts, write_studies
from studies.lifecycle.models import Study

AGE = timedelta(days=730)
Say = Callable[[str], None]


def check_empty() -> None:
    """Raises Conflict E_EXISTS for a database that holds people, sites, studies or log entries of more than starts."""
    rows = [User.objects.all(), Site.objects.all(), Study.objects.all(), Event.objects.exclude(object_type="portal")]
    there = [found.model._meta.verbose_name_plural for found in rows if found.exists()]
    if there:
        told = ", ".join(str(name) for name in there)
        raise Conflict(
            "E_EXISTS",
            f"This database holds {told} already. A synthetic portal is made in an empty one only, and nothing takes "
            "it out again: make a new database, migrate it, and say this again.",
        )


def seed(shape: Shape, *, password: str | None = None, say: Say = lambda step: None) -> Cast:
    """Make a portal of this shape, two years old; all of it or nothing.

    Args:
        password: with which everybody in it can sign in; None for nobody.
        say: told before each step.

    Raises:
        Conflict: E_EXISTS when the database is not empty.
    """
    until = timezone.now().replace(microsecond=0)
    with transaction.atomic():
        check_empty()
        cast = _write(shape, password, until - AGE, until, say)
    say("Gathering statistics for the database's planner")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE" if connection.in_atomic_block else "VACUUM (ANALYZE)")
    return cast


def _write(shape: Shape, password: str | None, since: datetime, until: datetime, say: Say) -> Cast:
    say(f"People and {shape.sites} sites")
    cast = make_cast(shape)
    write_people(cast, password, since)
    write_sites(cast, since)
    say(f"{shape.studies} studies")
    studies = make_studies(shape, cast, since, until)
    write_studies(studies)
    groups = Groups()
    add_groups(groups, cast, studies)
    groups.write()
    write_parts(studies)
    say("Scripts and what sites signed")
    scripts = make_scripts(shape, studies)
    write_scripts(scripts)
    write_threads(shape, scripts)
    say(f"{shape.runs} runs of {shape.rounds} rounds")
    runs = make_runs(shape, scripts, until)
    write_runs(runs)
    write_rounds(runs)
    write_plans(shape, runs)
    say(f"{shape.events} entries of the log")
    write_events(shape, cast, runs, since, until)
    say("Notifications")
    _write_notifications(shape, cast, studies, until)
    return cast


def _write_notifications(shape: Shape, cast: Cast, studies: list[SeededStudy], until: datetime) -> None:
    """All but the newest three of everybody were read; e-mail went out for none that a worker would send."""
    chance = Chance("notifications")

    def rows() -> Iterator[tuple[Any, ...]]:
        for person in cast.everybody:
            for number in range(shape.notifications):
                at = until - number * timedelta(hours=7)
                read = None if number < 3 else at
                study = studies[chance.below(len(studies))]
                subject = f"Heart disease v1 of “{study.title}” waits for a review."
                yield chance.id(), person.id, subject, f"/studies/{study.id}", f"seeded:{number}", at, read

    names = ("id", "person_id", "subject", "link", "key", "created_at", "read_at")
    copy(Notification, names, rows(), kind="version", emailed_at=until)

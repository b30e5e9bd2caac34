"""Studies: dictionaries, protocols, the sites that take part with their datasets, and scripts that they signed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from accounts.models import Site
from accounts.permissions import SITE_PEOPLE_IN_STUDY
from accounts.roles import SITE_ROLES, Role
from fedstudy_core.canonical import digest
from fedstudy_core.dictionary import parse
from portal.seeding.copying import Chance, Names, Row, copy
from portal.seeding.people import Cast, Groups, Person, SeededSite
from portal.seeding.shape import Shape
from studies.dictionary.models import Dataset, DictionaryVersion
from studies.enrolment.models import Enrolment
from studies.lifecycle.models import ProtocolVersion, Study

# By the study's number: most are under way.
STATES = ("active", "active", "active", "active", "recruiting", "active", "active", "closed", "active", "archived")
PROTOCOL = b"# Protocol of a synthetic study\n"
VARIABLES: list[dict[str, Any]] = [
    {"name": "age", "label": "Age", "type": "integer", "unit": "years", "min": 18, "max": 110},
    {"name": "sex", "label": "Sex", "type": "categorical", "codes": [{"value": "f"}, {"value": "m"}]},
    *({"name": f"measure_{number}", "label": f"Measure {number}", "type": "number"} for number in range(1, 11)),
    {"name": "outcome", "label": "Outcome", "type": "boolean"},
]


@dataclass(frozen=True)
class Part:
    """A site's part in a study: its enrolment, and the dataset that it offers; an invited site offers none yet."""

    site: SeededSite
    enrolment: UUID
    dataset: UUID
    fingerprint: str
    is_ready: bool


@dataclass
class SeededStudy:
    """A study and who takes part in it."""

    id: UUID
    number: int
    state: str
    since: datetime
    pi: Person
    co_investigator: Person
    auditors: list[Person]
    dictionary: UUID
    parts: list[Part] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"Study {self.number:04} (synthetic)"

    @property
    def ready(self) -> list[Part]:
        return [part for part in self.parts if part.is_ready]


def make_studies(shape: Shape, cast: Cast, since: datetime, until: datetime) -> list[SeededStudy]:
    """Studies in the order in which they began, evenly over the time."""
    chance = Chance("studies")
    step = (until - since) / shape.studies
    studies = [_study(chance, cast, number, since + number * step) for number in range(shape.studies)]
    for study in studies:
        for place in range(shape.sites_asked):
            site = cast.sites[(study.number * shape.sites_asked + place) % shape.sites]
            is_ready = place == 0 or (study.number + place) % 7 > 0
            study.parts.append(Part(site, chance.id(), chance.id(), chance.sha256(), is_ready))
    return studies


def _study(chance: Chance, cast: Cast, number: int, since: datetime) -> SeededStudy:
    leaders, watchers = cast.investigators, cast.auditors
    leader = leaders[0] if number % 10 == 0 or len(leaders) == 1 else leaders[1 + number % (len(leaders) - 1)]
    auditors = [watchers[0], watchers[number % len(watchers)]]
    return SeededStudy(
        id=chance.id(),
        number=number,
        state=STATES[number % len(STATES)],
        since=since,
        pi=leader,
        co_investigator=cast.co_investigators[number % len(cast.co_investigators)],
        auditors=auditors[: len({person.id for person in auditors})],
        dictionary=chance.id(),
    )


def write_studies(studies: list[SeededStudy]) -> None:
    """The studies, each with a dictionary and a protocol."""
    names = ("id", "title", "slug", "state", "state_since", "created_by_id", "created_at")
    rows: Iterator[Row] = (
        (study.id, study.title, f"study-{study.number}", study.state, study.since, study.pi.id, study.since)
        for study in studies
    )
    copy(Study, names, rows, summary="A synthetic study, to measure pages on.", aims="To be many.")
    dictionary = parse({"variables": VARIABLES})
    rows = ((study.dictionary, study.id, study.pi.id, study.since) for study in studies)
    copy(
        DictionaryVersion, ("id", "study_id", "created_by_id", "created_at"), rows, number=1, sha256=dictionary.sha256,
        variables=dictionary.model_dump(mode="json")["variables"],
    )  # fmt: skip
    chance = Chance("protocols")
    rows = ((chance.id(), study.id, study.pi.id, study.since) for study in studies)
    copy(
        ProtocolVersion, ("id", "study_id", "created_by_id", "created_at"), rows, number=1, filename="protocol.md",
        sha256=digest(PROTOCOL), size=len(PROTOCOL), content=PROTOCOL,
    )  # fmt: skip


def write_parts(studies: list[SeededStudy]) -> None:
    """The sites' enrolments, and the datasets of those that are ready."""
    names: Names = (
        "id",
        "study_id",
        "site_id",
        "node_id",
        "dictionary_id",
        "name",
        "fingerprint",
        "registered_at",
    )
    rows = (_dataset(study, part) for study in studies for part in study.ready)
    columns = [str(item["name"]) for item in VARIABLES]
    report = {"checked": True, "passed": True, "findings": []}
    copy(Dataset, names, rows, format="csv", rows_band="100-499", columns=columns, report=report)
    names = (
        "id", "study_id", "site_id", "state", "dataset_id", "invited_at", "invited_by_id", "answered_at",
        "answered_by_id", "ready_at",
    )  # fmt: skip
    copy(Enrolment, names, (_enrolment(study, part) for study in studies for part in study.parts))


def _dataset(study: SeededStudy, part: Part) -> Row:
    name = f"rows of study {study.number:04}"
    when = study.since + timedelta(days=2)
    return (
        part.dataset, study.id, part.site.id, str(part.site.node), study.dictionary, name, part.fingerprint, when
    )  # fmt: skip


def _enrolment(study: SeededStudy, part: Part) -> Row:
    """In the order of write_parts' columns."""
    head = (part.enrolment, study.id, part.site.id)
    if not part.is_ready:
        return (*head, "invited", None, study.since, study.pi.id, None, None, None)
    when = study.since + timedelta(days=3)
    return (*head, "ready", part.dataset, study.since, study.pi.id, when, part.site.admin.id, when)


def add_groups(groups: Groups, cast: Cast, studies: list[SeededStudy]) -> None:
    """The groups of all roles; a site's people see the studies that it is invited to."""
    of_site: dict[UUID, list[int]] = {}
    for site in cast.sites:
        people = {Role.ADMIN: site.admin, Role.STEWARD: site.steward}
        of_site[site.id] = [groups.add(role, Site, site.id, [people[role]]) for role in SITE_ROLES]
    for study in studies:
        groups.add(Role.PI, Study, study.id, [study.pi])
        groups.add(Role.CO_INVESTIGATOR, Study, study.id, [study.co_investigator])
        groups.add(Role.AUDITOR, Study, study.id, study.auditors)
        for part in study.parts:
            for number in of_site[part.site.id]:
                groups.give(number, Study, study.id, SITE_PEOPLE_IN_STUDY)

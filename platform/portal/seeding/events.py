"""The audit log of a synthetic portal: entries of the kinds that a portal writes, as often as it writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from types import MappingProxyType
from typing import Any
from uuid import UUID

from audit.models import Event
from fedstudy_core import canonical
from portal.seeding.copying import Chance, Row, copy
from portal.seeding.people import Cast, Person, SeededSite
from portal.seeding.runs import SeededRun
from portal.seeding.shape import Shape
from portal.seeding.studies import SeededStudy

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Kind:
    """A kind of entry.

    Attributes:
        often: how often it comes in a hundred entries.
        of: what it is about: "run", "study", "site", "node", "dataset", "enrolment" or "user".
        by: who did it: "pi", "auditor", "user" (anybody), "node" or "system".
        concerns: "study", "site", or both; entries of neither concern the platform.
    """

    action: str
    often: float
    of: str
    by: str
    concerns: tuple[str, ...] = ()
    outcome: str = "done"
    detail: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


ROUND = Kind("runs:round:committed", 38, "run", "system", ("study",))
KINDS = (
    ROUND,
    Kind("runs:run:created", 2, "run", "pi", ("study",)),
    Kind("runs:run:queued", 2, "run", "pi", ("study",)),
    Kind("runs:run:began", 2, "run", "system", ("study",)),
    Kind("runs:run:completed", 2, "run", "system", ("study",)),
    Kind("runs:run:failed", 0.3, "run", "system", ("study",), "failed", {"code": "E_QUORUM"}),
    Kind("runs:run:hindered", 0.5, "run", "pi", ("study",), "refused", {"code": "E_NOT_APPROVED"}),
    Kind("runs:site:missing", 3, "run", "system", ("study", "site"), "failed", {"code": "E_DEADLINE"}),
    Kind("runs:site:refused", 0.4, "run", "node", ("study", "site"), "refused", {"code": "E_EXPIRED"}),
    Kind("runs:results:exported", 1, "run", "auditor", ("study",), detail={"file": "results.csv"}),
    Kind("runs:model:downloaded", 1, "run", "pi", ("study",)),
    Kind("dictionary:dataset:checked", 5, "dataset", "node", ("study", "site"), detail={"state": "valid"}),
    Kind("enrolment:site:ready", 1, "enrolment", "system", ("study", "site")),
    Kind("lifecycle:study:edited", 1, "study", "pi", ("study",)),
    Kind("accounts:permission:denied", 0.8, "study", "user", ("study",), "refused", {"permission": "study.start_run"}),
    Kind("audit:log:exported", 0.5, "study", "auditor", ("study",), detail={"entries": "1000", "form": "CSV"}),
    Kind("registry:node:came_online", 12, "node", "node", ("site",)),
    Kind("registry:node:changed", 1, "node", "node", ("site",), detail={"agent_version": "0.1.0", "sandbox": "S3"}),
    Kind("registry:node:paused", 0.5, "node", "node", ("site",), detail={"reason": "maintenance"}),
    Kind("registry:node:resumed", 0.5, "node", "node", ("site",)),
    Kind("accounts:session:opened", 16, "user", "user"),
    Kind("accounts:session:closed", 6, "user", "user"),
    Kind("accounts:session:refused", 1.5, "user", "system", (), "refused", {"code": "E_CREDENTIALS"}),
    Kind("accounts:token:issued", 1, "user", "user"),
)
OFTEN = list(accumulate(kind.often for kind in KINDS))
COLUMNS = (
    "event_id", "at", "actor", "actor_label", "action", "object_type", "object_id", "object_label", "study", "site",
    "outcome", "detail", "salt",
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """What an entry may speak of: a run of a study, one of its sites, and somebody."""

    run: SeededRun
    study: SeededStudy
    place: int
    person: Person

    @property
    def site(self) -> SeededSite:
        return self.study.ready[self.place].site

    def object(self, kind: str) -> tuple[str, UUID, str]:
        """Type, id and label."""
        part = self.study.ready[self.place]
        match kind:
            case "run":
                return "run", self.run.id, self.run.label
            case "study":
                return "study", self.study.id, self.study.title
            case "node":
                return "node", self.site.node, f"node-{self.site.number:03}"
            case "dataset":
                return "dataset", part.dataset, f"rows of study {self.study.number:04}"
            case "enrolment":
                return "enrolment", part.enrolment, f"{self.site.name} in {self.study.title}"
            case "user":
                return "user", self.person.id, self.person.name
            case _:
                raise ValueError(kind)

    def actor(self, by: str) -> tuple[str, str]:
        """Name and label."""
        match by:
            case "system":
                return "system:worker", "worker"
            case "node":
                return f"node:{self.site.node}", f"node node-{self.site.number:03}"
            case "user":
                person = self.person
            case "pi":
                person = self.study.pi
            case "auditor":
                person = self.study.auditors[0]
            case _:
                raise ValueError(by)
        return f"user:{person.id}", person.name


def write_events(shape: Shape, cast: Cast, runs: list[SeededRun], since: datetime, until: datetime) -> None:
    """The entries, numbered in the order of their times."""
    copy(Event, COLUMNS, _events(shape, cast, runs, since, until))


def _events(shape: Shape, cast: Cast, runs: list[SeededRun], since: datetime, until: datetime) -> Iterator[Row]:
    """In the order of COLUMNS."""
    chance, people = Chance("events"), cast.everybody
    details = {kind.action: canonical.dumps(dict(kind.detail)).decode("utf-8") for kind in KINDS}
    step = (until - since) / shape.events
    for number in range(shape.events):
        (kind,) = chance.choices(KINDS, cum_weights=OFTEN)
        run = runs[chance.below(len(runs))]
        study = run.script.study
        scene = Scene(run, study, chance.below(len(study.ready)), people[chance.below(len(people))])
        concerned = {"study": str(study.id), "site": str(scene.site.id)}
        named = (*scene.actor(kind.by), kind.action, *map(str, scene.object(kind.of)))
        about = [concerned[name] if name in kind.concerns else "" for name in ("study", "site")]
        detail = _of_round(chance) if kind is ROUND else details[kind.action]
        yield chance.id(), since + number * step, *named, *about, kind.outcome, detail, chance.salt()


def _of_round(chance: Chance) -> str:
    """The details of a committed round: of those of a real one, what an index of words feels."""
    told = {"model_in": chance.sha256(), "model_out": chance.sha256(), "round": chance.below(1, 100)}
    return canonical.dumps(told).decode("utf-8")

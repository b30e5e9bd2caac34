"""A row of the table: one method of one address, and how it becomes a status for each person and place.

Where a row says nothing else, a request is answered like this:

* who may (`may`) gets `ok`; who sees the object but may not, 403; who must not know of it, 404;
* who has not signed in, and a node, get 401 from the API and are led to the sign-in by pages (302);
* in another study everybody who is a person gets 404, as for an object that does not exist; platform administrators
  see the sites, nodes and accounts of everybody;
* at another site of the study its own people are as little as anybody else's (`AT_OTHER_SITES`);
* in an archived study reading goes on, and what would change something gets `archived`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from audit.models import Event
from tests.security.access.scene import PEOPLE, Place


def first_event(place: Place) -> Any:
    """Of the place's study, by the id that addresses have."""
    event = Event.objects.filter(study=str(place.study.pk)).earliest("pk")
    return SimpleNamespace(pk=event.event_id)


MISSING = "00000000-0000-4000-8000-000000000000"
EVERYBODY = "0+PCUAS"
STUDY_PEOPLE = "PCUAS"
METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
Json = dict[str, Any]
Make = Callable[[Place], Any]


@dataclass(frozen=True)
class Kind:
    """A kind of object: who sees one of their own, where else there are some, and which one a place has."""

    sees: str
    places: tuple[str, ...]
    find: Make
    admin_sees_all: bool = False


# An object that does not exist comes after the foreign ones, as their answers are compared with its.
IN_STUDY = ("own", "other_study", "missing", "archived")
OF_SITE = ("own", "other_study", "other_site", "missing", "archived")
SITES = ("own", "other_study", "other_site", "missing")
KINDS: Mapping[str, Kind] = {
    "": Kind(EVERYBODY, ("own",), lambda place: None),
    "study": Kind(STUDY_PEOPLE, IN_STUDY, lambda place: place.study),
    "draft": Kind(STUDY_PEOPLE, ("own", "other_study", "missing"), lambda place: place.study),
    "script": Kind(STUDY_PEOPLE, IN_STUDY, lambda place: place.script),
    "version": Kind(STUDY_PEOPLE, IN_STUDY, lambda place: place.version),
    "run": Kind(STUDY_PEOPLE, IN_STUDY, lambda place: place.run),
    "release": Kind(STUDY_PEOPLE, IN_STUDY, lambda place: place.run),
    "schedule": Kind(STUDY_PEOPLE, IN_STUDY, lambda place: place.run),
    "degrees": Kind(STUDY_PEOPLE, IN_STUDY, lambda place: place.run),
    "webhook": Kind("P", IN_STUDY, lambda place: place.run),
    "enrolment": Kind(STUDY_PEOPLE, OF_SITE, lambda place: place.enrolment),
    "poolconsent": Kind(STUDY_PEOPLE, OF_SITE, lambda place: place.enrolment),
    "thread": Kind(STUDY_PEOPLE, OF_SITE, lambda place: place.version),
    "approval": Kind("", OF_SITE, lambda place: place.approval),
    "site": Kind("AS+", SITES, lambda place: place.site, admin_sees_all=True),
    "node": Kind("AS+", SITES, lambda place: place.node, admin_sees_all=True),
    "user": Kind("+", ("own", "other_study", "missing"), lambda place: place.pi, admin_sees_all=True),
    "request": Kind("P0", ("own", "missing"), lambda place: None),
    "employee": Kind("+", ("own", "missing"), lambda place: place.site_admin),
    "closed": Kind("+", ("own", "missing"), lambda place: place.stranger),
    "notification": Kind("P", ("own", "other_study", "missing"), lambda place: place.pi),
    "token": Kind("P", ("own", "other_study", "missing"), lambda place: place.pi),
    "factor": Kind("P", ("own", "other_study", "missing"), lambda place: place.pi),
    "identity": Kind("P", ("own", "other_study", "missing"), lambda place: place.pi),
    "session": Kind("P", ("own", "other_study", "missing"), lambda place: place.pi),
    "event": Kind("PU", IN_STUDY, first_event),
    "unled": Kind("U+", ("own", "missing"), lambda place: place.study),
    "unled_site": Kind("S+", ("own", "missing"), lambda place: place.site),
}
# What a site's own people get at another site of their study, by kind, where it is not what they get at their own.
AT_OTHER_SITES: Mapping[str, int] = {"site": 404, "node": 404, "poolconsent": 404}


@dataclass(frozen=True)
class Row:
    """One method of one address.

    Attributes:
        name: of the address, with its namespace.
        kind: of the object that the address (or, with `fixed`, body or query) names.
        may: letters of those who may; others as the kind has it.
        ok: what they get.
        make: the object, in the state that the request is about; made anew for each place.
        rest: what follows the object in the address.
        query: after the address.
        body: what is right to send.
        form: sent as a form instead of JSON (pages always are).
        fixed: the address's objects where the object stands in body or query; those of the first place.
        every: what everybody gets, whoever they are.
        archived: what those who may get in an archived study; None for the same.
        but: exceptions by letter, everywhere.
        elsewhere: exceptions by place, for those who may at their own.
        quiet: whether it writes nothing that the log keeps.
    """

    name: str
    method: str
    kind: str
    may: str = ""
    ok: int = 200
    make: Make | None = None
    rest: Callable[[Place], tuple[Any, ...]] = lambda place: ()
    query: Callable[[Place], str] = lambda place: ""
    body: Callable[[Place], Json] | None = None
    form: bool = False
    fixed: Callable[[Place], tuple[Any, ...]] | None = None
    every: int | None = None
    archived: int | None = None
    but: Mapping[str, int] = field(default_factory=dict)
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    quiet: bool = False

    @property
    def is_page(self) -> bool:
        return not self.name.startswith("api:")

    @property
    def writes(self) -> bool:
        return self.method != "get"

    @property
    def places(self) -> tuple[str, ...]:
        return KINDS[self.kind].places

    def expected(self, place: str, who: str) -> int:
        """The status that one of PEOPLE gets at a place."""
        if self.every is not None:
            return self.every
        if who in self.but:
            return self.but[who]
        if who == "N" and "N" in self.may:
            return self._for_node(place)
        if who in "-N" or self.may == "N":
            return 302 if self.is_page else 401
        return self._for_person(place, who)

    def _for_node(self, place: str) -> int:
        return self.ok if place == "own" or self.kind == "" else self.elsewhere.get(place, 404)

    def _for_person(self, place: str, who: str) -> int:
        kind = KINDS[self.kind]
        if place == "missing" or (place == "other_study" and not (who == "+" and kind.admin_sees_all)):
            return 404
        if who not in self.may:
            return 403 if who in kind.sees and not self._is_hidden(place, who) else 404
        if place == "archived" and self.archived is not None:
            return self.archived
        if place == "other_site" and who in "AS":
            return self.elsewhere.get(place, AT_OTHER_SITES.get(self.kind, self.ok))
        return self.ok

    def _is_hidden(self, place: str, who: str) -> bool:
        return place == "other_site" and who in "AS" and self.kind in AT_OTHER_SITES


def constant(value: Json | Callable[[Place], Json] | None) -> Callable[[Place], Json] | None:
    """A body that is the same at every place, as a row wants it."""
    return value if callable(value) or value is None else lambda place: dict(value)


def letters() -> str:
    """All letters of PEOPLE."""
    return "".join(PEOPLE)

"""Who gets what from every address of the portal, held to one table (`tests.security.access`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from django.http import HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from pytest_django.plugin import DjangoDbBlocker

from audit.models import Event
from tests.security.access import api, pages, scene
from tests.security.access.row import KINDS, METHODS, MISSING, Row
from tests.security.access.scene import PEOPLE, Scene, fewer_lines, opened_again, used_for_long
from tests.web.markup import assert_sound

TABLE = [*api.ROWS, *pages.ROWS]
# Who invites sees the names of all sites.
SHOW_ALL_SITES = ("api:invitable-sites", "web:enrolment-new")
PARTS = ("web:bell",)
OF_A_REQUEST = ("X-Request-Id", "X-Request-ID", "Set-Cookie")
AGO = re.compile(rb'<small>[^<]* ago</small>|data-at="[0-9]+"|[0-9-]{10} [0-9:]{5} UTC')
TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="\w+"')


@pytest.fixture(autouse=True)
def shown_for_long(settings: Any) -> None:
    """Everybody has just shown who they are, however long a machine takes for thousands of requests."""
    settings.FEDSTUDY_STEP_UP_S = 24 * 60 * 60


@pytest.fixture(scope="module")
def built(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Scene]:
    with django_db_blocker.unblock(), transaction.atomic(), used_for_long(), fewer_lines():
        cache.clear()
        yield scene.build()
        transaction.set_rollback(True)


@pytest.fixture
def people(built: Scene, db: None) -> Scene:
    """Nine people and their places; what a test does is undone."""
    return built


@contextmanager
def undone() -> Iterator[None]:
    """Whatever is written inside is taken back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


class Request:
    """A row's request at a place, ready to be made by different people."""

    def __init__(self, people: Scene, row: Row, place: str) -> None:
        self.people, self.row = people, row
        # what an object is made for is told to people, so one that is to be missing is made for others
        self.place = people.place("other_study" if place == "missing" else place)
        self.is_missing = place == "missing"
        with self._open(place):
            obj = (row.make or KINDS[row.kind].find)(self.place)
        self.id = "" if obj is None else str(obj.pk)
        named = () if obj is None else (obj.pk, *row.rest(self.place))
        args = named if row.fixed is None else row.fixed(people.place("own"))
        self.address = self._told(reverse(row.name, args=args) + row.query(self.place))

    @contextmanager
    def _open(self, place: str) -> Iterator[None]:
        """An archived study is open while its objects are put into the row's state."""
        if place != "archived" or self.row.make is None:
            yield
            return
        opened_again(self.place.study, "active")
        yield
        opened_again(self.place.study, "archived")

    def _told(self, value: Any) -> Any:
        """An address or a body, with the id of nothing in the place of the object's where it is to be missing."""
        if not self.is_missing or not self.id:
            return value
        if isinstance(value, dict):
            return {name: self._told(item) for name, item in value.items()}
        return value.replace(self.id, MISSING) if isinstance(value, str) else value

    def by(self, who: str, method: str = "") -> Any:
        """The answer to one of PEOPLE, to the row's method or another one."""
        body = self._told(self.row.body(self.place)) if self.row.body and not method else None
        if self.row.is_page:
            return self.people.page(who, method or self.row.method, self.address, body)
        return self.people.api(who, method or self.row.method, self.address, body, form=self.row.form)


def requests(people: Scene, rows: list[Row]) -> Iterator[tuple[int, str, Request]]:
    """Every row, by its number, at each of its places."""
    for number, row in enumerate(rows):
        for place in row.places:
            with undone():
                yield number, place, Request(people, row, place)


def done() -> int:
    """How many entries of the log say that something was done."""
    return Event.objects.filter(outcome="done").count()


def as_said(row: Row, place: str, who: str, answer: Any, *, changed: bool) -> Iterator[str]:
    """What of an answer is not as the table has it."""
    wanted = row.expected(place, who)
    if answer.status_code != wanted:
        yield f"{answer.status_code} instead of {wanted}"
    if changed and (answer.status_code >= 400 or (place == "archived" and row.archived is None and row.writes)):
        yield "something was changed"
    if place == "own" and row.writes and who in row.may and not row.quiet and not changed:
        yield "the log says nothing"
    if not row.is_page:
        yield from unsound_answer(answer)
    elif place == "own":
        yield from unsound_page(answer, whole=row.name not in PARTS)


def unsound_answer(answer: Any) -> Iterator[str]:
    """Errors of the API are problem details; nothing that it says is kept by a cache or read as a page."""
    if answer.headers.get("X-Content-Type-Options") != "nosniff" or answer.headers.get("Cache-Control") != "no-store":
        yield "its headers"
    if answer.status_code < 400:
        return
    problem = answer.json()
    if answer.headers["Content-Type"] != "application/problem+json" or problem["status"] != answer.status_code:
        yield "not a problem"
    if not (problem["code"].startswith("E_") and problem["detail"]):
        yield "a problem without words"
    if answer.status_code == 401 and not answer.headers.get("WWW-Authenticate"):
        yield "no challenge"


def unsound_page(answer: HttpResponse, *, whole: bool) -> Iterator[str]:
    """A page is well-formed and runs nothing inline."""
    if answer.status_code == 302:
        return
    if answer.headers["Content-Type"].startswith("text/html"):
        assert_sound(answer.content.decode(), whole=whole)
        policy = {part.strip() for part in answer.headers["Content-Security-Policy"].split(";")}
        if not {"script-src 'self'", "style-src 'self'"} <= policy or any("'unsafe" in part for part in policy):
            yield "its policy"


def said(request: Request, answer: Any) -> tuple[int, bytes, dict[str, str]]:
    """All of an answer but the id that was asked for, and what differs from request to request."""
    body = TOKEN.sub(b"", answer.content).replace(answer.headers["X-Request-ID"].encode(), b"")
    headers = {name: text for name, text in answer.headers.items() if name not in OF_A_REQUEST}
    headers.pop("Content-Length", None)
    if request.id:
        body = body.replace(request.id.encode(), MISSING.encode())
    return answer.status_code, body, headers


def foreign_words(people: Scene, who: str) -> list[str]:
    """What stands in no answer to one of PEOPLE: ids and names of the other study and, but for admins, its site."""
    other = people.other_study
    of_study = [other.study, other.script, other.version, other.run, other.enrolment, other.dataset, other.approval]
    of_site = [other.site, other.node, other.pi, other.auditor, other.site_admin, other.steward]
    words = [other.study.title, *(str(item.pk) for item in of_study)]
    return words if who == "+" else [*words, "zebra", "Zebra", *(str(item.pk) for item in of_site)]


def leaks(people: Scene, row: Row, who: str, answer: Any) -> Iterator[str]:
    """Foreign words in a page, a list, a file."""
    if answer.status_code != 200 or row.name == "api:node-events" or (row.name in SHOW_ALL_SITES and who in row.may):
        return
    text = answer.getvalue().decode(errors="replace")
    yield from (f"shows {word}" for word in foreign_words(people, who) if word in text)


def deviations(people: Scene, rows: list[Row]) -> Iterator[str]:
    """Where answers are not as the table has them, differ from those for objects that do not exist, or say too much."""
    foreign: dict[tuple[int, str], list[Any]] = {}
    for number, place, request in requests(people, rows):
        row, before = rows[number], done()
        for who in PEOPLE:
            with undone():
                answer = request.by(who)
                problems = list(as_said(row, place, who, answer, changed=row.writes and done() != before))
                if place in ("own", "archived", "other_site"):
                    problems += leaks(people, row, who, answer)
                if place in ("other_study", "other_site") and answer.status_code == 404 and who not in row.but:
                    foreign.setdefault((number, who), []).append(said(request, answer))
                if place == "missing" and any(told != said(request, answer) for told in foreign.get((number, who), [])):
                    problems.append("a foreign object looks unlike one that does not exist")
            yield from (f"{row.method} {row.name} at {place}: {PEOPLE[who]}: {problem}" for problem in problems)


@pytest.mark.parametrize("rows", [api.ROWS, pages.ROWS], ids=["api", "pages"])
def test_everybody_gets_what_the_table_says(rows: list[Row], people: Scene) -> None:
    wrong = list(deviations(people, rows))
    assert not wrong, "\n".join(wrong)


def served(patterns: list[URLPattern | URLResolver], namespace: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Name and pattern of every address of the URLconf; one without a name goes by its route."""
    for item in patterns:
        if isinstance(item, URLResolver):
            yield from served(item.url_patterns, f"{item.namespace}:" if item.namespace else namespace)
        else:
            yield f"{namespace}{item.name or item.pattern}", item


def test_every_address_is_in_the_table() -> None:
    names = [name for name, _ in served(get_resolver().url_patterns)]
    assert sorted(set(names) - {"api:unknown"}) == sorted({row.name for row in TABLE})
    assert len(names) == len(set(names))


def test_a_method_that_the_table_does_not_have_is_refused(people: Scene) -> None:
    """To somebody who may use the others: nodes at theirs, those who have not signed in yet where they do."""
    wrong = []
    for name in dict.fromkeys(row.name for row in TABLE):
        rows = [row for row in TABLE if row.name == name]
        listed = {row.method for row in rows} | ({"head"} if any(row.method == "get" for row in rows) else set())
        who = "N" if rows[0].may == "N" else "-" if "-" in rows[0].but else "P"
        with undone():
            request = Request(people, rows[0], "own")
            for method in sorted(set(METHODS) - listed):
                with undone():
                    answer = request.by(who, method)
                    if answer.status_code != 405:
                        wrong.append(f"{method} {name}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)


def the_log_of(people: Scene, who: str, query: str) -> bytes:
    """What one of PEOPLE reads of the log; that they took it away is forgotten, and how long ago things were."""
    with undone():
        answer: Any = people.page(who, "get", f"/events?{query}", None)
        return AGO.sub(b"", TOKEN.sub(b"", answer.getvalue()))


@pytest.mark.parametrize("who", [who for who in PEOPLE if who not in "-N"], ids=PEOPLE.get)
def test_filters_find_nothing_foreign(who: str, people: Scene) -> None:
    other = people.other_study
    for query in (f"study={other.study.pk}", f"object={other.run.pk}", f"site={other.site.pk}&study={other.study.pk}"):
        found = people.api(who, "get", f"/api/v1/audit/events?{query}", None, form=False).json()
        assert found == {"results": [], "next": None}
    for form in ("", "&form=csv", "&form=jsonl"):
        foreign, missing = (the_log_of(people, who, f"study={pk}{form}") for pk in (other.study.pk, MISSING))
        assert foreign.replace(str(other.study.pk).encode(), MISSING.encode()) == missing

"""The log page: whole pages by key, filters, details, and nobody else's events."""

from __future__ import annotations

import re

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from accounts.models import User
from audit.models import Event
from audit.selectors import indexed_with_words
from audit.services import record
from portal.web.presenters.events import AREAS, SENTENCES, details_of, href_of, sentence_of
from studies.scripts.services import revoke_approval
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import assert_sound


def tell(world: World, by: User, times: int, **changes: object) -> None:
    with transaction.atomic():
        for _ in range(times):
            record(action="runs:run:stopped", actor=by, obj=world.run, study=world.study.pk, **changes)  # type: ignore[arg-type]


def test_pages_follow_each_other_without_gap_or_repetition(world: World, browser: Browser) -> None:
    tell(world, world.pi, 120)
    client, there = browser("auditor"), reverse("web:study-events", args=[world.study.pk])
    numbers: list[list[int]] = []
    after = ""
    for _ in range(10):
        context = client.get(there, {"after": after} if after else {}).context
        numbers.append([row.number for row in context["rows"]])
        tell(world, world.pi, 1)  # new entries meanwhile do not shift the pages
        after = context["page"].older
        if not after:
            break
    seen = [number for shown in numbers for number in shown]
    newer = client.get(there, {"before": context["page"].newer}).context
    assert [row.number for row in newer["rows"]] == numbers[-2]
    expected = Event.objects.filter(study=str(world.study.pk), pk__lte=seen[0]).order_by("-pk")
    assert seen == list(expected.values_list("pk", flat=True))


@pytest.mark.parametrize("way", ["before", "after"])
@pytest.mark.parametrize("key", ["x", "-1", "9" * 40, "1 OR 1=1", "²", "WyIxIl0", "WyI5OTk5OTk5OTk5OTk5OTk5OTk5OSJd"])
def test_a_key_that_is_none_is_no_fault(key: str, way: str, world: World, browser: Browser) -> None:
    assert browser("auditor").get(reverse("web:events"), {way: key}).status_code == 200


def test_filters_narrow_the_log(world: World, browser: Browser) -> None:
    tell(world, world.pi, 2, outcome="refused")
    client, there = browser("auditor"), reverse("web:events")
    rows = client.get(there, {"outcome": "refused"}).context["rows"]
    assert [row.outcome for row in rows] == ["refused"] * 2
    rows = client.get(there, {"kind": "dictionary", "study": str(world.study.pk)}).context["rows"]
    assert rows
    assert {row.action.partition(":")[0] for row in rows} == {"dictionary"}
    page = assert_sound(client.get(there, {"kind": "registry", "outcome": "failed"}).content.decode())
    assert "No entry fits these filters." in page.text


FILTERS = {
    "an action": ({"kind": "scripts:approval:recorded"}, {"scripts:approval:recorded"}),
    "words of who, what and object": ({"q": "pat lifecycle HEART"}, {"lifecycle:study:created"}),
    "the beginning of a word": ({"q": "diction publ"}, {"dictionary:version:published"}),
    "a code in the details": ({"q": "E_DEADLINE"}, {"runs:site:missing"}),
    "words that no entry has together": ({"q": "pat registry"}, set()),
    "an operator": ({"q": "& | ! ( ) :* <-> 'x' \\"}, set()),
    "a person's name": ({"actor": "Pat Inv", "kind": "lifecycle"}, {"lifecycle:study:created"}),
    "a name of which a word is another": ({"actor": "Investigator Pat"}, set()),
    "an object's name": ({"object": "Logistic regression v1"}, {"scripts:version:submitted"}),
    "a day before": ({"until": "2020-01-01"}, set()),
    "today": ({"since": "TODAY", "until": "TODAY", "kind": "runs:run:created"}, {"runs:run:created"}),
    "a day that is none": ({"since": "yesterday", "kind": "runs:run:created"}, {"runs:run:created"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FILTERS)
def test_entries_are_found(name: str, world: World, browser: Browser) -> None:
    with transaction.atomic():
        record(
            action="runs:site:missing", actor="system:runs", obj=world.run, study=world.study.pk, site=world.site.pk,
            outcome="failed", detail={"code": "E_DEADLINE"},
        )  # fmt: skip
    asked_for, wanted = FILTERS[name]
    today = f"{world.run.created_at:%Y-%m-%d}"
    query = {key: today if value == "TODAY" else value for key, value in asked_for.items()}
    answer = browser("auditor").get(reverse("web:events"), query)
    found = {row.action for row in answer.context["rows"]}
    assert found >= wanted
    assert bool(found) == bool(wanted)
    named = {"q": "q", "actor": "actor", "object": "object", "kind": "action"}
    asked = {named[key]: value for key, value in query.items() if key in named}
    told = world.client("auditor").get("/api/v1/audit/events", asked).json()["results"]
    if len(asked) == len(query):
        assert {event["action"] for event in told} == found


def test_an_entry_leads_to_others_like_it(world: World, browser: Browser) -> None:
    client, there = browser("auditor"), reverse("web:events")
    answer = client.get(there, {"outcome": "done", "after": "x"})
    row = answer.context["rows"][0]
    page = assert_sound(answer.content.decode())
    (by_actor,) = {
        target
        for target in page.targets
        if target.startswith("?outcome=done&actor=") and row.actor_name.partition(":")[2] in target
    }
    assert {found.actor_name for found in client.get(there + by_actor).context["rows"]} == {row.actor_name}
    by_object = client.get(there, {"object": row.object_id}).context["rows"]
    assert {found.object_id for found in by_object} == {row.object_id}


def test_the_filters_offer_studies_and_sites_of_the_reader(world: World, browser: Browser) -> None:
    form = browser("auditor").get(reverse("web:events")).context["filter_form"]
    assert [label for _, label in form.fields["study"].widget.choices] == ["All studies", world.study.title]
    assert [label for _, label in form.fields["site"].widget.choices] == ["All sites", world.site.name]
    assert "study" not in browser("stranger").get(reverse("web:events")).context["filter_form"].fields
    assert set(SENTENCES) | set(AREAS) <= set(re.findall(r'<option value="([^"]+)"', str(form["kind"])))


def test_words_in_the_platforms_part_are_found_by_its_own_index(world: World) -> None:
    """Among few entries the database would choose any other."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("DROP INDEX audit_event_study, audit_event_words")
        plan = indexed_with_words(Event.objects.filter(study=""), "signed").explain()
        transaction.set_rollback(True)
    assert "audit_event_platform" in plan
    assert "InitPlan" in plan  # and nothing else is looked through


@pytest.mark.parametrize("times", [0, 3, 130])
def test_an_administrator_finds_words_in_new_entries_and_in_old_ones(
    world: World, browser: Browser, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.selectors.LOOKED_THROUGH", 60)
    with transaction.atomic():
        for number in range(times):
            record(action="accounts:site:created", actor=world.admin, obj=world.site, detail={"note": f"zebra{number}"})
        for _ in range(40):
            record(action="accounts:site:created", actor=world.admin, obj=world.site, detail={"note": "other"})
    client, there, found = browser("admin"), f"{reverse('web:events')}?q=zebra", []
    while there:
        context = client.get(there).context
        found += [row.detail for row in context["rows"]]
        there = f"{reverse('web:events')}?q=zebra&after={context['page'].older}" if context["page"].older else ""
    assert found == [(("note", f"zebra{number}"),) for number in reversed(range(times))]


def test_what_is_chosen_stays_chosen(world: World, browser: Browser) -> None:
    for kind, shown in [("runs:run:began", "runs:run:began"), ("runs", "runs"), ("", ""), ('"><b>', None)]:
        form = browser("auditor").get(reverse("web:events"), {"kind": kind, "q": "x"}).context["filter_form"]
        chosen = re.findall(r'<option value="([^"]*)" selected>', str(form["kind"]))
        assert chosen == ([] if shown is None else [shown])


def test_an_entry_leads_to_its_object_and_shows_its_details(world: World, browser: Browser) -> None:
    tell(world, world.pi, 1, detail={"reason": "<script>alert(1)</script>"})
    answer = browser("auditor").get(reverse("web:study-events", args=[world.study.pk]))
    page = assert_sound(answer.content.decode())
    assert reverse("web:run", args=[world.run.pk]) in page.targets
    assert "Run stopped" in page.text
    assert "<script>alert(1)</script>" in page.text


def test_nobody_reads_events_of_foreign_studies(world: World, browser: Browser) -> None:
    tell(world, world.pi, 3)
    assert browser("stranger").get(reverse("web:events")).context["rows"] == []
    assert {row.object for row in browser("stranger").get(reverse("web:events")).context["rows"]} == set()


def test_every_action_has_a_sentence_even_one_that_is_new() -> None:
    assert sentence_of("runs:run:completed") == "Run completed"
    assert sentence_of("pool:node:woke_up") == "Node woke up"
    assert all(text[0].isupper() for text in SENTENCES.values())
    assert href_of("setuptoken", "1") == ""
    assert href_of("run", "an id of old times") == ""


def test_refused_starts_and_sign_ins_are_in_the_log(world: World, browser: Browser) -> None:
    revoke_approval(approval=world.approval, by=world.site_admin)
    browser("pi").post(reverse("web:run-start", args=[world.run.pk]))
    rows = browser("auditor").get(reverse("web:events"), {"outcome": "refused"}).context["rows"]
    assert [(row.action, dict(row.detail)["code"]) for row in rows] == [("runs:run:hindered", "E_NOT_APPROVED")]
    for email in (world.pi.email, "nobody@demo.example"):
        Client().post(reverse("web:sign-in"), {"username": email, "password": "wrong"})
    rows = browser("admin").get(reverse("web:events"), {"outcome": "refused"}).context["rows"]
    assert [row.action for row in rows] == ["accounts:session:refused"] * 2
    assert "nobody@demo.example" not in str(rows)


def test_the_size_of_a_log_is_told_in_events_and_that_of_a_file_in_bytes() -> None:
    assert details_of({"size": 7}, "audit:log:succeeded") == (("number of events", "7"),)
    assert details_of({"size": 7}, "pooling:object:received") == (("size in bytes", "7"),)

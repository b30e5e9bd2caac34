"""Pages in the reader's language, and catalogues that are complete and fit their sources."""

from __future__ import annotations

import gettext
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils.translation import gettext as translated
from django.utils.translation import override
from rest_framework.test import APIClient

from accounts.models import User
from accounts.roles import Role
from accounts.tokens import begin_program_session
from audit.models import Event
from audit.presenters import SENTENCES
from devstack import messages
from fedstudy_node.validation import SENTENCES as SENTENCES_OF_REPORTS
from notifications.models import Notification
from notifications.services import email, notify
from portal.languages import language_of
from portal.web.presenters.facts import WORDS
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import assert_sound
from tests.web.rounds import commit_round, set_to_work

GERMAN = {"HTTP_ACCEPT_LANGUAGE": "de-AT,de;q=0.9,en;q=0.5"}

NAMES = {"CSV", "Esc", "FedStudy", "JSON", "LaTeX", "PNG", "SHA-256", "SVG"}  # the same in every language
NOT_TRANSLATED = {"styleguide/index.html"}
TRANSLATED = re.compile(r"\{%\s*(blocktranslate|comment)\b.*?\{%\s*end\1\s*%\}", re.DOTALL)
IN_TAGS = re.compile(
    r'\{%\s*(?:(?:card|table|empty_state|badge)\s+|(?:notice|confirm)\s+"\w+"\s+'
    r'|[^%]*?\b(?:title|lead|label|none|empty|first|newer|older|verb|consequence)=)"([^"]*)'
)
ATTRIBUTE = re.compile(r'\b(?:aria-label|title|placeholder|alt|data-title)="([^"]*)')
WORD = re.compile(r"[^\W\d_][\w-]*\w")


def untranslated(source: str) -> list[str]:
    """The words that a template shows in one language only: between tags, in attributes, and told to components."""
    source = TRANSLATED.sub(" ", source)
    texts = IN_TAGS.findall(source)
    source = re.sub(r"\{\{.*?\}\}|\{#.*?#\}", " ", re.sub(r"\{%.*?%\}", "", source, flags=re.DOTALL))
    texts += ATTRIBUTE.findall(source) + re.split(r"<[^<>]*>|&\w+;", source)
    return [word for text in texts for word in WORD.findall(text) if word not in NAMES]


def bare_templates() -> Iterator[str]:
    for path in sorted(messages.TEMPLATES.rglob("*.html")):
        name, words = path.relative_to(messages.TEMPLATES).as_posix(), untranslated(path.read_text("utf-8"))
        if words and name not in NOT_TRANSLATED:
            yield f"{name}: {' '.join(words[:12])}"


def test_templates_say_nothing_outside_of_translations() -> None:
    assert list(bare_templates()) == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<p>Some words</p>", ["Some", "words"]),
        ('<p{% if x %} class="is-new"{% endif %}>{{ name }} v{{ number }} · CSV</p>', []),
        ('{% blocktranslate %}<b>Some</b> words{% endblocktranslate %} <a href="/x">{% translate "More" %}</a>', []),
        ('<p aria-label="Pages"></p><p aria-label="{% translate "Pages" %}: {{ label }}"></p>', ["Pages"]),
        ('{% card "Keys" %}{% card _("Keys") %}{% notice "bad" "Gone" %}{% notice "bad" %}', ["Keys", "Gone"]),
        ('{% include "a.html" with rows=rows none="No rows." %}{% when at empty="–" %}', ["No", "rows"]),
    ],
)
def test_words_outside_of_translations_are_found(source: str, words: list[str]) -> None:
    assert untranslated(source) == words


def test_a_per_cent_sign_is_not_handed_to_a_component() -> None:
    """Django shows it twice there, and finds no translation: `{% translate ... as %}` before it does well."""
    handed = re.compile(r"""_\(("[^"]*%[^"]*"|'[^']*%[^']*')\)""")
    assert [path.name for path in messages.TEMPLATES.rglob("*.html") if handed.search(path.read_text("utf-8"))] == []


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_catalogues_are_complete_and_fit_their_sources(language: str) -> None:
    po, mo = messages.files(language)
    catalogue = messages.updated(messages.read(language), list(messages.texts()))
    assert po.read_bytes() == messages.written(catalogue), "run `make messages`"
    assert messages.problems(catalogue) == [], "translate these in django.po, then run `make messages`"
    with mo.open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for message in catalogue:
        if isinstance(message.id, str) and message.id:
            read = compiled.pgettext(message.context, message.id) if message.context else compiled.gettext(message.id)
            assert read == message.string, "run `make messages`"


def test_gaps_and_lost_places_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "FOLDER", tmp_path)
    monkeypatch.setattr(messages, "ROOT", tmp_path)
    monkeypatch.setattr(messages, "TEMPLATES", tmp_path / "templates")
    monkeypatch.setattr(messages, "CODE", ())
    monkeypatch.setattr(messages, "CORE", {})
    (tmp_path / "templates").mkdir()
    page = tmp_path / "templates" / "page.html"
    counted = "{% blocktranslate count n=n %}{{ n }} site{% plural %}{{ n }} sites{% endblocktranslate %}"
    page.write_text('{% card _("Sites") %}' + counted)
    assert messages.main() == 1
    catalogue = messages.read("de")
    assert messages.problems(catalogue) == ["no translation of 'Sites'", "no translation of '%(n)s site'"]
    for message in catalogue:
        if message.id:
            message.string = ("Ein Standort", "%(n)s Standorte") if message.pluralizable else "<b>Standorte</b>"
    messages.files("de")[0].write_bytes(messages.written(catalogue))
    assert messages.problems(messages.read("de")) == [
        "other places or tags in the translation of 'Sites'",
        "other places or tags in the translation of '%(n)s site'",
    ]
    shutil.rmtree(tmp_path / "templates")
    assert messages.main() == 0
    assert not [message for message in messages.read("de") if message.id]


@pytest.mark.parametrize(
    ("asked", "chosen", "language"),
    [
        ("", "", "en-gb"),
        ("fr-CH, *;q=0.5", "", "en-gb"),
        ("fr-CH, de-CH;q=0.8, en;q=0.5", "", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "", "en-gb"),
        ("de", "en", "en-gb"),
        ("en", "de", "de"),
    ],
)
def test_the_language_is_the_persons_else_what_the_browser_asks_for(asked: str, chosen: str, language: str) -> None:
    assert language_of(RequestFactory(headers={"Accept-Language": asked}).get("/"), chosen) == language


def test_people_choose_their_language_and_pages_follow(world: World, browser: Browser) -> None:
    pi, there = browser("pi"), reverse("web:account-language")
    before = pi.get("/account")
    assert '<html lang="en">' in before.content.decode()
    assert before.headers["Content-Language"] == "en-gb"
    assert "fedstudy-words" not in before.content.decode()
    page = pi.post(there, {"language": "de"}, follow=True)
    text = assert_sound(page.content.decode()).text
    assert "Die Seiten sind jetzt in dieser Sprache." in text
    assert "Studienleitung" in text
    assert '<html lang="de">' in page.content.decode()
    assert page.headers["Content-Language"] == "de"
    assert "Accept-Language" in page.headers["Vary"]
    assert Event.objects.get(action="accounts:language:chosen").detail == '{"language":"German"}'
    assert '<html lang="en">' in browser("auditor").get("/account").content.decode()
    assert '<html lang="de">' in browser("auditor").get("/account", **GERMAN).content.decode()
    assert '<html lang="en">' in Client().get("/sign-in").content.decode()
    assert '<html lang="de">' in Client().get("/sign-in", **GERMAN).content.decode()
    assert "E_INVALID" in assert_sound(pi.post(there, {"language": "tlh"}, follow=True).content.decode()).text


def test_results_are_german_and_files_english(world: World, browser: Browser) -> None:
    run = set_to_work(world)
    commit_round(run, 1, bytes_sent=2048, bytes_received=1024)
    page = assert_sound(browser("pi").get(reverse("web:run", args=[run.pk]), **GERMAN).content.decode()).text
    assert {
        word for word in ("Ergebnisse", "Alle Standorte", "Kalibrierungsfehler", "Runde 1") if word not in page
    } == set()
    assert {word for word in ("Results", "All sites", "Calibration", "Round") if word in page} == set()
    there, steward = reverse("web:site-uses", args=[world.site.pk]), browser("site_admin")
    uses = assert_sound(steward.get(there, **GERMAN).content.decode()).text
    assert "Modelländerung; Metriken train-loss" in uses
    file: Any = steward.get(there, {"form": "csv"}, **GERMAN)
    assert b"model update; metrics train-loss" in b"".join(file.streaming_content)


def test_the_log_s_kinds_are_german(world: World, browser: Browser) -> None:
    page = assert_sound(browser("auditor").get(reverse("web:events"), **GERMAN).content.decode()).text
    assert "Skriptversion eingereicht" in page
    assert "Script version submitted" not in page


def test_the_log_s_sentences_and_facts_are_german(world: World, browser: Browser) -> None:
    auditor = browser("auditor")
    there = reverse("web:study-timeline", args=[world.study.pk])
    told = [sentence for _, sentence in auditor.get(there, **GERMAN).context["told"]]
    assert f"Pat Investigator hat die Studie „{world.study.title}“ angelegt." in told
    submitted = Event.objects.filter(study=str(world.study.pk), action="scripts:version:submitted").latest("pk")
    page = auditor.get(reverse("web:event", args=[submitted.event_id]), **GERMAN).context
    assert page["sentence"].startswith("Pat Investigator hat ")
    assert [name for name, _ in page["hashes"]] == ["SHA-256-Hash"]
    assert ("Befunde hohen Risikos", "0") in page["row"].detail


def test_fixed_sentences_of_errors_are_german(world: World, browser: Browser) -> None:
    """They are in the catalogue as they stand where the errors are made."""
    missing = browser("pi").get(reverse("web:study", args=[uuid4()]), **GERMAN).content.decode()
    assert "Diese Studie gibt es nicht, oder Sie dürfen sie nicht sehen." in missing
    with override("de"):
        assert [text for text in SENTENCES_OF_REPORTS.values() if translated(text) == text] == []


def test_every_sentence_of_the_log_has_its_german() -> None:
    with override("de"):
        assert [action for action, text in SENTENCES.items() if translated(text) == text] == []
        words = {word for known in WORDS.values() for word in known} - {"CSV", "JSON lines"}
        assert [word for word in words if translated(word) == word] == []


def test_what_somebody_is_told_is_in_their_language_and_english_for_programs(world: World, browser: Browser) -> None:
    day = {"version": "Heart v1", "site": "Demo", "day": "2026-03-01"}
    words = "The approval of {version} by {site} ends on {day}."
    notify(people=[world.pi], kind="expiring", subject=words, facts=day, link="/", key="german")
    asked = {"who": "A {who}", "role": Role.STEWARD.label, "obj": "Demo"}
    notify(
        people=[world.pi], kind="access", subject="{who} asks to be {role} of {obj}.", facts=asked, link="/", key="ask"
    )
    Notification.objects.create(person=world.pi, kind="answer", subject="Of old times.", link="/", key="old")
    there = reverse("web:notifications")
    german = {row.text for row in browser("pi").get(there, **GERMAN).context["rows"]}
    english = {row.text for row in browser("pi").get(there).context["rows"]}
    assert german >= {
        "Die Freigabe von Heart v1 durch Demo endet am 1. März 2026.",
        "A {who} bittet um die Rolle „Datentreuhänder“ von Demo.",
        "Of old times.",
    }
    assert english >= {
        "The approval of Heart v1 by Demo ends on 1 Mar 2026.",
        "A {who} asks to be data steward of Demo.",
        "Of old times.",
    }
    with override("de"):
        told = world.client("pi").get("/api/v1/notifications").json()["results"]
    assert {row["subject"] for row in told} >= english


def test_the_api_takes_a_language_and_answers_in_english(world: World) -> None:
    _, token = begin_program_session(user=world.pi)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}", **GERMAN)
    assert client.patch("/api/v1/me", {"language": "de"}).json()["language"] == "de"
    refused = client.patch("/api/v1/me", {"name": "x" * 121, "language": "xx"}).json()
    assert "no more than 120 characters" in refused["errors"][0]["detail"]
    assert client.patch("/api/v1/me", {"language": ""}).json()["language"] == ""


def test_email_is_in_the_language_of_its_reader(world: World) -> None:
    User.objects.filter(pk=world.pi.pk).update(language="de")
    for number, person in enumerate((world.pi, world.auditor)):
        row = Notification.objects.create(person=person, kind="answer", subject="s", link="/", key=f"k{number}")
        assert email(notification_id=str(row.pk))
    assert [letter.subject for letter in mail.outbox[-2:]] == [
        "FedStudy: etwas wartet auf Sie",
        "FedStudy: something waits for you",
    ]

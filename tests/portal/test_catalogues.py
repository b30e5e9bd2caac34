"""Translations in one dictionary a language."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.test import Client
from django.utils.translation import trans_real
from django.utils.translation.trans_real import DjangoTranslation

from portal.catalogues import Catalogue, join

LANGUAGES = [name for name, _ in settings.LANGUAGES]


@pytest.mark.parametrize("language", LANGUAGES)
def test_they_say_what_django_says(language: str) -> None:
    plain, joined = DjangoTranslation(language), Catalogue(language)
    texts = list(joined._texts)
    assert texts, "there is nothing to say"
    assert {text: plain.gettext(text) for text in texts} == {text: joined.gettext(text) for text in texts}
    for text in joined._counted:
        for number in (0, 1, 2, 21):
            assert plain.ngettext(text, "others", number) == joined.ngettext(text, "others", number)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_nobody_translated_stays_as_it_is(language: str) -> None:
    joined = Catalogue(language)
    assert joined.gettext("nobody translated this") == "nobody translated this"
    assert [joined.ngettext("{} thing", "{} things", number) for number in (0, 1, 2)] == [
        "{} things", "{} thing", "{} things",
    ]  # fmt: skip


def test_german_has_its_own_words_and_plurals() -> None:
    german = Catalogue("de")
    assert german.gettext("Studies") == "Studien"
    assert german.ngettext("%(number)s site", "%(number)s sites", 2) == "%(number)s Standorte"


@pytest.mark.django_db
def test_pages_are_translated_by_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trans_real, "_translations", {})
    assert Client().get("/sign-in").status_code == 200
    assert {name: type(found) for name, found in trans_real._translations.items()} == dict.fromkeys(
        LANGUAGES, Catalogue
    )
    kept = dict(trans_real._translations)
    join()
    assert trans_real._translations == kept

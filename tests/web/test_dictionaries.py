"""The pages of a data dictionary: files are shown before they are saved, drafts are written variable by variable."""

from __future__ import annotations

import html
import json
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from portal.web.presenters.dictionaries import PAGE
from studies.dictionary.drafts import save_draft
from studies.dictionary.models import DictionaryVersion
from studies.dictionary.selectors import draft_of
from studies.dictionary.services import publish_dictionary
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import Page, assert_sound

AGE = {"name": "age", "label": "Age", "type": "integer", "min": 18, "max": 110}
REDCAP = (
    "Variable / Field Name,Field Type,Field Label,Branching Logic (Show field only if...),Identifier?\n"
    "record_id,text,Record,,\nage,notes,Age,[sex] = '1',\nsurname,text,<b>Name</b>,,y\n"
)
FIELDS = {"name": "weight", "type": "number", "required": "yes", "identifier": "no", "position": "1"}


def sound(answer: HttpResponse, status: int = 200) -> Page:
    assert answer.status_code == status
    return assert_sound(answer.content.decode())


def place(name: str, world: World, *rest: str) -> str:
    return reverse(f"web:{name}", args=[world.study.pk, *rest])


def send(client: Client, world: World, text: str | bytes) -> HttpResponse:
    content = text if isinstance(text, bytes) else text.encode()
    return client.post(place("dictionary-new", world), {"file": SimpleUploadedFile("d", content)})  # type: ignore[return-value]


def taken(answer: HttpResponse) -> str:
    """What the page of a file sends on."""
    found = re.search(r'name="variables"\s+value="([^"]*)"', answer.content.decode())
    assert found is not None
    return html.unescape(found[1])


def versions(world: World) -> int:
    return DictionaryVersion.objects.filter(study=world.study).count()


@pytest.mark.parametrize(
    "text", [json.dumps({"variables": [AGE]}), "name,type,min,max,label\nage,integer,18,110,Age\n"]
)
def test_a_file_is_shown_first_and_then_published(text: str, world: World, browser: Browser) -> None:
    answer = send(browser("pi"), world, text)
    assert "18 to 110" in sound(answer).text
    assert (versions(world), draft_of(world.study)) == (1, None)
    there = place("dictionary-draft-change", world, "take")
    page = sound(browser("pi").post(there, {"variables": taken(answer), "publish": "yes"}, follow=True))
    assert "18 to 110" in page.text
    assert (versions(world), draft_of(world.study)) == (2, None)


def test_what_redcap_s_dictionary_leaves_out_is_listed_and_the_rest_is_edited(world: World, browser: Browser) -> None:
    answer = send(browser("pi"), world, REDCAP)
    page = sound(answer)
    for words in ("REDCap marks it as an identifier", "numbers REDCap's records", "[sex] = '1'", "1 variable"):
        assert words in page.text
    there = place("dictionary-draft-change", world, "take")
    page = sound(browser("pi").post(there, {"variables": taken(answer)}, follow=True))
    assert "are the draft now" in page.text
    draft = draft_of(world.study)
    assert draft is not None
    assert [item["name"] for item in draft.variables] == ["age"]
    assert "There is a draft" in sound(browser("pi").get(place("study-dictionary", world))).text
    assert "There is a draft" not in sound(browser("auditor").get(place("study-dictionary", world))).text


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "This is not JSON"),
        (b"\xff\xfe", "not text in UTF-8"),
        (b"[]", ""),
        (b"7", "This column is not known"),
        (b'{"variables": null}', ""),
        (json.dumps([AGE, AGE]).encode(), "age"),
        (json.dumps([{**AGE, "min": 200}]).encode(), ""),
        (b"name,type,min\nage,integer,young\n", "row 2, min: This is a number"),
    ],
)
def test_a_file_that_does_not_fit_says_why(content: bytes, sentence: str, world: World, browser: Browser) -> None:
    page = sound(send(browser("pi"), world, content), 400)
    assert "Nothing was saved" in page.text
    assert sentence in page.text


def test_a_draft_is_written_variable_by_variable_and_published(world: World, browser: Browser) -> None:
    pi, there = browser("pi"), place("dictionary-draft", world)
    change = {verb: place("dictionary-draft-change", world, verb) for verb in ("save", "move", "remove", "publish")}
    assert "As in version 1" in sound(pi.get(there)).text
    page = sound(pi.post(change["save"], {**FIELDS, "unit": "kg", "min": "30"}, follow=True))
    assert "30.0 or more" not in page.text
    assert "30 or more" in page.text
    pi.post(change["move"], {"down": "weight"})
    pi.post(change["remove"], {"remove": "stenosis"})
    page = sound(pi.get(there, {"variable": "age"}))
    assert "Change “age”" in page.text
    assert "1 new, 1 removed" in page.text
    codes = {"codes": "1 = young | 2 = old", "type": "categorical", "name": "age_group", "position": "1"}
    page = sound(pi.post(change["save"], {**FIELDS, **codes, "variable": "age"}, follow=True))
    assert "1 = young, 2 = old" in page.text
    assert "meanwhile" in sound(pi.post(change["publish"], {"revision": "3"}, follow=True)).text
    [seen] = re.findall(r'name="revision" value="(\d+)"', pi.get(there).content.decode())
    sound(pi.post(change["publish"], {"revision": seen}, follow=True))
    newest = DictionaryVersion.objects.filter(study=world.study).order_by("number").last()
    assert newest is not None
    assert [item["name"] for item in newest.variables] == ["age_group", "weight"]
    assert "E_STATE" in sound(pi.post(change["publish"], follow=True)).text


def test_a_draft_that_was_overtaken_says_so(world: World, browser: Browser) -> None:
    save_draft(study=world.study, variables=[AGE], by=world.pi)
    assert "Publish it" in sound(browser("pi").get(place("dictionary-draft", world))).text
    publish_dictionary(study=world.study, variables=[{"name": "sex", "type": "integer"}], by=world.pi)
    page = sound(browser("pi").get(place("dictionary-draft", world)))
    assert "Version 2 was published after this draft was begun" in page.text
    assert "Publish it" not in page.text
    there = place("dictionary-draft-change", world, "publish")
    assert "E_STATE" in sound(browser("pi").post(there, {"revision": "1"}, follow=True)).text
    assert versions(world) == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "AGE"}, "described twice"),
        ({"type": "categorical"}, "needs its codes"),
        ({"codes": "1 = | = 2"}, "A value is missing"),
        ({"implausible": "0 = x"}, "need no words"),
        ({"min": "9", "max": "1"}, "ends before it begins"),
    ],
)
def test_a_variable_that_does_not_fit_is_told_at_its_field(
    changes: dict[str, str], sentence: str, world: World, browser: Browser
) -> None:
    there = place("dictionary-draft-change", world, "save")
    assert sentence in sound(browser("pi").post(there, {**FIELDS, **changes}), 400).text
    assert draft_of(world.study) is None


def test_a_long_dictionary_comes_in_pages(world: World, browser: Browser) -> None:
    many = [{"name": f"v{number}", "type": "text"} for number in range(PAGE + 1)]
    save_draft(study=world.study, variables=many, by=world.pi)
    there = place("dictionary-draft", world)
    assert "Page 1 of 2" in sound(browser("pi").get(there)).text
    assert "Page 2 of 2" in sound(browser("pi").get(there, {"variable": f"v{PAGE}"})).text
    for odd in ("0", "99", "x", "9" * 30):
        sound(browser("pi").get(there, {"page": odd}))
    removed = f"{place('dictionary-draft-change', world, 'remove')}?page=2"
    assert "v98" in sound(browser("pi").post(removed, {"remove": f"v{PAGE}"}, follow=True)).text


def test_the_table_comes_back_as_it_was(world: World, browser: Browser) -> None:
    answer = browser("auditor").get(place("dictionary-file", world))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="dictionary-v1.csv"'
    newest = DictionaryVersion.objects.get(study=world.study)
    assert json.loads(taken(send(browser("pi"), world, answer.content))) == newest.variables

"""Studies, sites, dictionaries, enrolments and scripts: what comes back, and what is refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Site
from accounts.services import create_site
from studies.dictionary.models import DictionaryVersion
from studies.enrolment.models import Enrolment
from studies.lifecycle.models import Study
from studies.scripts.models import ScriptVersion
from tests.api.world import VARIABLES, World, another_site, fab, sources, zipped

builds = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")


def refused(answer: Any, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def submit(world: World, content: bytes, name: str = "bundle.fab") -> Any:
    form = {"bundle": SimpleUploadedFile(name, content)}
    return world.client("pi").post(f"/api/v1/scripts/{world.script.pk}/versions", form, format="multipart")


def test_who_makes_a_study_leads_it(world: World) -> None:
    client = world.client("stranger")
    made = client.post("/api/v1/studies", {"title": "Ischaemia", "aims": "Predict it"}, format="json").json()
    assert (made["state"], made["slug"], made["created_by"]["name"]) == ("draft", "ischaemia", "Sam Stranger")
    people = client.get(f"/api/v1/studies/{made['id']}/people").json()["results"]
    assert [(row["user"]["name"], row["role"]) for row in people] == [("Sam Stranger", "pi")]


def test_words_of_a_study_change_and_the_rest_stays(world: World) -> None:
    path = f"/api/v1/studies/{world.study.pk}"
    changed = world.client("pi").patch(path, {"summary": "Four centres"}, format="json").json()
    assert (changed["summary"], changed["aims"]) == ("Four centres", "Predict stenosis")
    refused(world.client("pi").patch(path, {"state": "archived"}, format="json"), 400, "E_INVALID")


def test_a_study_takes_no_step_that_does_not_follow(world: World) -> None:
    path = f"/api/v1/studies/{world.study.pk}/transition"
    refused(world.client("pi").post(path, {"to": "draft"}, format="json"), 409, "E_STATE")
    refused(world.client("pi").post(path, {"to": "open"}, format="json"), 400, "E_INVALID")
    assert Study.objects.get(pk=world.study.pk).state == "active"


def test_the_protocol_comes_back_as_it_was(world: World) -> None:
    client, path = world.client("pi"), f"/api/v1/studies/{world.study.pk}/protocol"
    form = {"file": SimpleUploadedFile("Protokoll “2”.md", b"# Zweite Fassung\n")}
    refused(client.post(path, {"file": SimpleUploadedFile("empty.md", b"")}, format="multipart"), 400, "E_INVALID")
    assert client.post(path, form, format="multipart").json()["number"] == 2
    assert client.get(path).json()["filename"] == "Protokoll “2”.md"
    answer = client.get(f"{path}/file")
    assert answer.content == b"# Zweite Fassung\n"
    assert answer.headers["Content-Disposition"].startswith("attachment")


def test_a_study_without_protocol_or_dictionary_says_so(world: World) -> None:
    client = world.client("pi")
    study = client.post("/api/v1/studies", {"title": "Empty"}, format="json").json()["id"]
    for path in ("protocol", "protocol/file", "dictionary"):
        refused(client.get(f"/api/v1/studies/{study}/{path}"), 404, "E_NOT_FOUND")


def test_a_dictionary_with_a_variable_twice_changes_nothing(world: World) -> None:
    path = f"/api/v1/studies/{world.study.pk}/dictionary"
    answer = world.client("pi").post(path, {"variables": [*VARIABLES, VARIABLES[0]]}, format="json")
    refused(answer, 400, "E_DICTIONARY")
    assert answer.json()["errors"][0]["field"]
    assert DictionaryVersion.objects.count() == 1


@pytest.mark.parametrize("variables", [[], ["age"], [{"name": "age"}], [{**VARIABLES[0], "min": 9, "max": 1}], "age"])
def test_dictionaries_that_do_not_fit(world: World, variables: Any) -> None:
    path = f"/api/v1/studies/{world.study.pk}/dictionary"
    answer = world.client("pi").post(path, {"variables": variables}, format="json")
    assert answer.status_code == 400
    assert answer.json()["code"] in ("E_DICTIONARY", "E_INVALID")
    assert DictionaryVersion.objects.count() == 1


def test_a_site_is_invited_once(world: World) -> None:
    path = f"/api/v1/studies/{world.study.pk}/enrolments"
    client, site = world.client("pi"), another_site(world)
    names = [row["id"] for row in client.get(f"/api/v1/studies/{world.study.pk}/invitable-sites").json()["results"]]
    assert names == [site]
    assert client.post(path, {"site": site}, format="json").json()["level"] == "F2"
    refused(client.post(path, {"site": site}, format="json"), 409, "E_EXISTS")
    refused(client.post(path, {"site": str(world.study.pk)}, format="json"), 404, "E_NOT_FOUND")
    refused(client.post(path, {"site": site, "level": "F9"}, format="json"), 400, "E_INVALID")


def test_first_sites_are_found_by_one_question_and_all_of_them_or_none(world: World) -> None:
    client, path = world.client("pi"), f"/api/v1/studies/{world.study.pk}/set-up"
    sites = [create_site(name=f"Site {n}", short_name=f"site-{n}", by=world.admin) for n in range(6)]

    def questions(chosen: list[Site]) -> int:
        body = {"sites": [str(site.pk) for site in [*chosen, world.site]]}
        with CaptureQueriesContext(connection) as asked:
            refused(client.post(path, body, format="json"), 404, "E_NOT_FOUND")
        return len(asked)

    questions([])  # what is asked once only is asked here
    assert questions(sites[:2]) == questions(sites)
    assert not Enrolment.objects.filter(site__in=sites).exists()
    twice = {"sites": [str(site.pk) for site in (*sites, sites[0])]}
    assert "sites" not in client.post(path, twice, format="json").json()["missing"]
    assert Enrolment.objects.filter(study=world.study, site__in=sites).count() == 6


def test_an_invitation_is_answered_once(world: World) -> None:
    admin = world.client("site_admin")
    refused(admin.post(f"/api/v1/enrolments/{world.enrolment.pk}/accept", {}, format="json"), 409, "E_STATE")
    refused(
        admin.post(f"/api/v1/enrolments/{world.enrolment.pk}/accept", {"level": "F9"}, format="json"), 400, "E_INVALID"
    )
    listed = admin.get("/api/v1/enrolments").json()["results"]
    assert [(row["study"]["name"], row["state"], row["dataset"]) for row in listed] == [
        (world.study.title, "ready", str(world.dataset.pk))
    ]


def test_two_sites_have_two_names(world: World) -> None:
    body = {"name": "cleveland clinic", "short_name": "other"}
    refused(world.client("admin").post("/api/v1/sites", body, format="json"), 409, "E_EXISTS")
    refused(
        world.client("admin").post("/api/v1/sites", {**body, "short_name": "no good"}, format="json"), 400, "E_INVALID"
    )
    assert Site.objects.count() == 1


def test_a_bundle_is_read_and_named_by_its_hash(world: World) -> None:
    made = submit(world, fab("1.0.1")).json()
    assert (made["number"], made["state"], made["size"]) == (2, "submitted", len(fab("1.0.1")))
    assert made["study"]["id"] == str(world.study.pk)
    assert {item["name"] for item in made["parameters"]} == {"num-server-rounds", "learning-rate"}
    client, path = world.client("site_admin"), f"/api/v1/script-versions/{made['id']}"
    shown = client.get(f"{path}/files", {"path": "tiny/client.py"}).json()
    assert shown == {"path": "tiny/client.py", "encoding": "utf-8", "content": '"""Client."""\n\napp = None\n'}
    assert client.get(f"{path}/bundle").content == fab("1.0.1")
    refused(client.get(f"{path}/files", {"path": "../secret"}), 404, "E_BUNDLE_PATH")
    refused(client.get(f"{path}/files"), 400, "E_INVALID")


def test_a_file_that_is_no_text_comes_in_base64(world: World) -> None:
    from portal.api.scripts import as_text

    assert as_text("a.bin", b"\xff\x00")["content"] == base64.b64encode(b"\xff\x00").decode()


@builds
def test_a_zip_of_sources_is_built(world: World) -> None:
    files = {**sources("2.0.0"), "notes.txt": b"Not for the sites\n"}
    made = submit(world, zipped({f"my-app/{path}": content for path, content in files.items()}), "src.zip")
    assert made.status_code == 201
    assert {item["path"] for item in made.json()["files"]} >= {"pyproject.toml", "tiny/client.py"}
    assert made.json()["dropped"] == ["notes.txt"]


@pytest.mark.parametrize(("form", "replaced"), [({}, True), ({"replaces_previous": "false"}, False)])
def test_a_version_replaces_the_one_before_unless_it_is_told_not_to(
    world: World, form: dict[str, str], replaced: bool
) -> None:
    body = {"bundle": SimpleUploadedFile("tiny.fab", fab("1.0.1")), **form}
    path = f"/api/v1/scripts/{world.script.pk}/versions"
    made = world.client("pi").post(path, body, format="multipart").json()
    assert made["replaces"] == (str(world.version.pk) if replaced else None)


@builds
def test_a_library_script_is_submitted_by_its_name(world: World) -> None:
    client, path = world.client("pi"), f"/api/v1/scripts/{world.script.pk}/versions"
    made = client.post(path, {"library": "heart_disease"}, format="json")
    assert made.status_code == 201
    refused(client.post(path, {"library": "heart_disease"}, format="json"), 409, "E_EXISTS")
    refused(client.post(path, {"library": "../runs"}, format="json"), 404, "E_NOT_FOUND")
    assert [row["number"] for row in client.get(path).json()["results"]] == [2, 1]


@pytest.mark.parametrize("body", [{}, {"library": "a", "bundle": "b"}, {"bundle": "text"}, {"name": "x"}])
def test_a_version_is_one_thing_or_the_other(world: World, body: dict[str, str]) -> None:
    answer = world.client("pi").post(f"/api/v1/scripts/{world.script.pk}/versions", body, format="json")
    refused(answer, 400, "E_INVALID")


@builds
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "E_BUNDLE_NOT_ZIP"),
        (b"PK\x03\x04 and then nothing", "E_BUNDLE_NOT_ZIP"),
        (zipped({"readme.txt": b"no app"}), "E_BUNDLE_NOT_FLOWER"),
        (zipped({**sources(), "../../etc/passwd": b"root"}), "E_BUNDLE_PATH"),
        (zipped({**sources(), "tiny/model.pkl": b"\x80\x04K\x01."}), "E_BUNDLE_PICKLE"),
    ],
)
def test_bundles_that_are_refused_leave_nothing_behind(world: World, content: bytes, code: str) -> None:
    refused(submit(world, content), 400, code)
    assert ScriptVersion.objects.count() == 1


def test_a_bundle_that_is_too_large_is_refused(world: World) -> None:
    refused(submit(world, b"x" * (settings.FEDSTUDY_MAX_UPLOAD + 1)), 413, "E_BUNDLE_TOO_LARGE")


def test_a_version_that_was_taken_back_is_offered_no_more(world: World) -> None:
    client = world.client("pi")
    path = f"/api/v1/script-versions/{world.version.pk}/withdraw"
    assert client.post(path).json()["state"] == "withdrawn"
    refused(client.post(path), 409, "E_STATE")
    assert world.keys.send(world.node.pk, "GET", "scripts").json() == []


def test_the_library_is_listed_with_parameters_and_dictionary(world: World) -> None:
    rows = world.client("stranger").get("/api/v1/library").json()["results"]
    heart = next(row for row in rows if row["name"] == "heart_disease")
    assert heart["title"]
    assert heart["parameters"][0]["name"]
    assert heart["dictionary"]["variables"]

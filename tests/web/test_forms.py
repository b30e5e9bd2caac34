"""What is sent by forms arrives through the services, and what does not fit is said at its field."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from accounts.services import create_site
from audit.models import Event
from federation.runs.models import Run
from nodes.registry.models import Node
from studies.dictionary.services import publish_dictionary
from studies.enrolment.models import Enrolment
from studies.enrolment.services import decline_invitation, invite_site
from studies.lifecycle.models import Study
from studies.lifecycle.services import create_study, move_study
from studies.scripts.models import Script, ScriptVersion
from tests.api import world as worlds
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import Page, assert_sound

# of Flower's own build
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")


def sound(answer: HttpResponse, status: int) -> Page:
    assert answer.status_code == status
    return assert_sound(answer.content.decode())


def upload(name: str, content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def test_a_study_is_created_and_its_author_leads_it(world: World, browser: Browser) -> None:
    answer = browser("stranger").post(reverse("web:study-new"), {"title": "Sepsis", "summary": "", "aims": ""})
    study = Study.objects.get(title="Sepsis")
    assert answer.headers["Location"] == reverse("web:study-set-up", args=[study.pk])
    page = sound(browser("stranger").get(answer.headers["Location"]), 200)
    assert "Not written yet: summary and aims." in page.text
    page = sound(browser("stranger").get(reverse("web:study", args=[study.pk])), 200)
    assert "publish the data dictionary" in page.text
    assert Event.objects.filter(action="lifecycle:study:created", study=str(study.pk)).exists()


def test_a_study_without_a_title_is_explained(browser: Browser) -> None:
    page = sound(browser("pi").post(reverse("web:study-new"), {"title": " "}), 400)
    assert "Nothing was saved" in page.text
    assert "This field is required." in page.text
    assert "#id_title" in page.targets


def test_a_study_moves_on_and_a_move_that_is_not_possible_is_said(world: World, browser: Browser) -> None:
    there = reverse("web:study-transition", args=[world.study.pk])
    page = sound(browser("pi").post(there, {"to": "draft"}, follow=True), 200)
    assert "E_STATE" in page.text
    page = sound(browser("pi").post(there, {"to": "closed"}, follow=True), 200)
    assert "is now closed" in page.text
    world.study.refresh_from_db()
    assert world.study.state == "closed"


def test_a_site_is_invited_and_answers(world: World, browser: Browser) -> None:
    other = create_site(name="Budapest", short_name="budapest", by=world.admin)
    there = reverse("web:enrolment-new", args=[world.study.pk])
    page = sound(browser("pi").post(there, {"site": str(other.pk), "level": "F2"}, follow=True), 200)
    assert "Budapest is invited" in page.text
    enrolment = Enrolment.objects.get(site=other)
    assert (enrolment.state, enrolment.level) == ("invited", "F2")
    page = sound(browser("pi").post(there, {"site": str(other.pk), "level": "F2"}), 400)
    assert "Select a valid choice" in page.text


def test_a_site_that_declined_can_be_chosen_again_though_another_study_has_it(world: World, browser: Browser) -> None:
    study = create_study(title="Second study", by=world.pi)
    publish_dictionary(study=study, variables=worlds.VARIABLES, by=world.pi)
    move_study(study=study, to="recruiting", by=world.pi)
    decline_invitation(enrolment=invite_site(study=study, site=world.site, by=world.pi), by=world.site_admin)
    there = reverse("web:enrolment-new", args=[study.pk])
    assert world.site.name in sound(browser("pi").get(there), 200).text


def test_who_sees_an_invitation_and_may_not_answer_it_is_told_so(world: World, browser: Browser) -> None:
    there = reverse("web:enrolment-answer", args=[world.enrolment.pk, "withdraw"])
    for who, status in (("pi", 403), ("auditor", 403), ("stranger", 404), ("admin", 404)):
        sound(browser(who).post(there), status)


def test_a_site_withdraws(world: World, browser: Browser) -> None:
    there = reverse("web:enrolment-answer", args=[world.enrolment.pk, "withdraw"])
    page = sound(browser("site_admin").post(there, follow=True), 200)
    assert "does not take part any more" in page.text
    world.enrolment.refresh_from_db()
    assert world.enrolment.state == "withdrawn"


def test_an_answer_that_does_not_exist_is_not_found(world: World, browser: Browser) -> None:
    there = reverse("web:enrolment-answer", args=[world.enrolment.pk, "shrug"])
    assert browser("site_admin").post(there).status_code == 404


def post_script(client: Client, world: World, **data: object) -> HttpResponse:
    return client.post(reverse("web:script-new", args=[world.study.pk]), data, follow=True)  # type: ignore[return-value]


def test_a_script_is_submitted_as_a_bundle_as_sources_and_from_the_library(world: World, browser: Browser) -> None:
    pi = browser("pi")
    page = sound(post_script(pi, world, name="Tiny", bundle=upload("tiny.fab", worlds.fab("2.0.0"))), 200)
    assert "Tiny v1 is submitted" in page.text
    sources = worlds.zipped(worlds.sources("3.0.0"))
    page = sound(post_script(pi, world, name="Tiny", bundle=upload("tiny.zip", sources)), 200)
    assert "Tiny v2 is submitted" in page.text
    page = sound(post_script(pi, world, name="Heart", library="heart_disease"), 200)
    assert "Heart v1 is submitted" in page.text
    assert "learning-rate" in page.text


def test_files_that_flower_leaves_out_are_named(world: World, browser: Browser) -> None:
    sources = worlds.zipped({**worlds.sources(), "tiny/notes.txt": b"Not for the sites\n"})
    page = sound(post_script(browser("pi"), world, name="Tiny", bundle=upload("tiny.zip", sources)), 200)
    assert "left these files out of the bundle: tiny/notes.txt" in page.text


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"no zip", "E_BUNDLE_NOT_ZIP"),
        (worlds.zipped({"../evil.py": b""}), "E_BUNDLE_PATH"),
        (worlds.zipped({"readme.txt": b"nothing"}), "E_BUNDLE_NOT_FLOWER"),
        (worlds.zipped({**worlds.sources(), "tiny/weights.bin": b"\x00"}), "E_BUNDLE_BINARY"),
    ],
)
def test_a_bundle_that_is_not_sound_leaves_nothing_behind(
    content: bytes, code: str, world: World, browser: Browser
) -> None:
    page = sound(post_script(browser("pi"), world, name="Bad", bundle=upload("bad.zip", content)), 400)
    assert code in page.text
    assert not Script.objects.filter(name="Bad").exists()


def test_a_script_comes_from_one_place_only(world: World, browser: Browser) -> None:
    both = post_script(
        browser("pi"), world, name="Both", library="heart_disease", bundle=upload("tiny.fab", worlds.fab())
    )
    for answer in (both, post_script(browser("pi"), world, name="None")):
        assert "not both" in sound(answer, 400).text
    assert ScriptVersion.objects.count() == 1


def test_the_script_page_tells_a_site_how_to_sign(world: World, browser: Browser) -> None:
    from studies.scripts.models import Approval

    there = reverse("web:version", args=[world.version.pk])
    assert "Sign for" not in sound(browser("site_admin").get(there), 200).text
    Approval.objects.all().update(state="revoked", revoked_at=world.approval.recorded_at)
    text = sound(browser("site_admin").get(there), 200).text
    assert f"fedstudy-node approve {world.version.pk} --dataset rows" in text
    assert "Sign for" not in sound(browser("pi").get(there), 200).text


def test_the_source_page_shows_the_chosen_file_only_from_the_bundle(world: World, browser: Browser) -> None:
    there = reverse("web:version-source", args=[world.version.pk])
    assert "Server." in sound(browser("pi").get(there, {"file": "tiny/server.py"}), 200).text
    for path in ("nothing.py", "../settings.py", "/etc/passwd"):
        assert browser("pi").get(there, {"file": path}).status_code == 404


def run_fields(world: World, **changes: object) -> dict[str, object]:
    return {
        "version": str(world.version.pk),
        "label": "Planned",
        "strategy": "fedavg",
        "rounds": 3,
        "quorum": "",
        "deadline_s": 60,
        "wait_s": 5,
        "parameter:learning-rate": "0.5",
        **changes,
    }


def test_a_run_is_planned_with_the_script_s_parameters(world: World, browser: Browser) -> None:
    answer = browser("pi").post(reverse("web:run-new", args=[world.study.pk]), run_fields(world, transport="float16"))
    run = Run.objects.get(label="Planned")
    assert answer.headers["Location"] == reverse("web:run", args=[run.pk])
    assert run.config["learning-rate"] == 0.5
    assert (run.state, run.rounds, run.quorum, run.transport) == ("draft", 3, 1, "float16")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"parameter:learning-rate": "7"}, "less than or equal to 1"),
        ({"parameter:learning-rate": "fast"}, "Enter a number"),
        ({"parameter:learning-rate": "nan"}, "Enter a number"),
        ({"rounds": "0"}, "greater than or equal to 1"),
        ({"quorum": "9"}, "E_TOO_FEW_SITES"),
        ({"strategy": "fedprox"}, "Select a valid choice"),
        ({"deadline_s": ""}, "This field is required"),
    ],
)
def test_a_run_that_does_not_fit_is_not_planned(
    changes: dict[str, object], sentence: str, world: World, browser: Browser
) -> None:
    there = reverse("web:run-new", args=[world.study.pk])
    page = sound(browser("pi").post(there, run_fields(world, **changes)), 400)
    assert sentence in page.text
    assert not Run.objects.filter(label="Planned").exists()


def test_a_run_is_planned_like_another_one(world: World, browser: Browser) -> None:
    Run.objects.filter(pk=world.run.pk).update(rounds=17, strategy="fedadam", config={"learning-rate": 0.25})
    there = reverse("web:run-new", args=[world.study.pk])
    form = browser("pi").get(there, {"like": world.run.pk}).context["form"]
    filled = ("version", "rounds", "strategy", "parameter:learning-rate", f"site:{world.enrolment.pk}")
    assert [form[name].value() for name in filled] == [str(world.version.pk), "17", "fedadam", "0.25", "full"]
    for strange in (uuid4(), "another"):
        assert browser("pi").get(there, {"like": strange}).status_code == 404


def test_a_node_s_token_is_shown_once(world: World, browser: Browser) -> None:
    there = reverse("web:node-new", args=[world.site.pk])
    answer = browser("site_admin").post(there, {"name": "second"})
    page = sound(answer, 201)
    assert "fedstudy-node enrol --portal" in page.text
    token = answer.context["token"].command.split()[-1]
    again = browser("site_admin").get(reverse("web:site", args=[world.site.pk])).content.decode()
    assert token not in again
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_token_that_was_lost_is_replaced(world: World, browser: Browser) -> None:
    admin = browser("site_admin")
    first = admin.post(reverse("web:node-new", args=[world.site.pk]), {"name": "second"})
    node = Node.objects.get(name="second")
    there = reverse("web:node-token", args=[node.pk])
    assert there in first.content.decode()
    answer = admin.post(there)
    assert "fedstudy-node enrol --portal" in sound(answer, 201).text
    old, new = (page.context["token"].command.split()[-1] for page in (first, answer))
    assert old != new
    assert node.tokens.count() == 1
    page = sound(admin.post(reverse("web:node-token", args=[world.node.pk]), follow=True), 200)
    assert "E_STATE" in page.text
    assert reverse("web:node-token", args=[world.node.pk]) not in page.targets


def test_a_version_is_taken_back_once(world: World, browser: Browser) -> None:
    there, page = (
        reverse("web:version-withdraw", args=[world.version.pk]),
        reverse("web:version", args=[world.version.pk]),
    )
    assert there in browser("pi").get(page).content.decode()
    assert there not in browser("auditor").get(page).content.decode()
    assert browser("auditor").post(there).status_code == 403
    text = sound(browser("pi").post(there, follow=True), 200).text
    assert "is taken back" in text
    assert "Withdrawn" in text
    assert ScriptVersion.objects.get(pk=world.version.pk).state == "withdrawn"
    assert "E_STATE" in sound(browser("pi").post(there, follow=True), 200).text
    assert "Withdrawn" in sound(browser("pi").get(reverse("web:study", args=[world.study.pk])), 200).text


def test_a_node_with_the_name_of_another_is_refused(world: World, browser: Browser) -> None:
    page = sound(browser("site_admin").post(reverse("web:node-new", args=[world.site.pk]), {"name": "node-1"}), 400)
    assert "E_EXISTS" in page.text


def test_a_node_is_confirmed_by_the_words_of_its_console_only(world: World, browser: Browser) -> None:
    node = worlds.enrolled_node(world.site, "second", worlds.NodeKeys(), world.site_admin)
    there = reverse("web:node-confirm", args=[node.pk])
    shown = sound(browser("site_admin").get(reverse("web:site", args=[world.site.pk])), 200)
    assert node.words not in shown.text
    page = sound(browser("site_admin").post(there, {"words": "one two three four five six"}, follow=True), 200)
    assert "E_WORDS" in page.text
    page = sound(browser("site_admin").post(there, {"words": f" {node.words.upper()} "}, follow=True), 200)
    assert "is confirmed and active" in page.text


def test_a_node_is_revoked(world: World, browser: Browser) -> None:
    page = sound(browser("site_admin").post(reverse("web:node-revoke", args=[world.node.pk]), follow=True), 200)
    assert "is revoked" in page.text
    assert Node.objects.get(pk=world.node.pk).state == "revoked"


def test_a_site_is_created_by_a_platform_administrator(browser: Browser) -> None:
    fields = {"name": "Zurich", "short_name": "zurich", "city": "Zurich", "country": "CH"}
    page = sound(browser("admin").post(reverse("web:site-new"), fields, follow=True), 200)
    assert "Zurich is created" in page.text
    page = sound(browser("admin").post(reverse("web:site-new"), fields), 400)
    assert "E_EXISTS" in page.text


def test_views_stay_short() -> None:
    import ast

    folder = Path(__file__).resolve().parents[2] / "platform/portal/web/views"
    for path in folder.glob("*.py"):
        for item in ast.walk(ast.parse(path.read_text())):
            if isinstance(item, ast.FunctionDef):
                assert (item.end_lineno or 0) - item.lineno < 25, f"{path.name}: {item.name}"


def test_the_form_shows_the_parameters_of_the_chosen_strategy_only(world: World, browser: Browser) -> None:
    there = reverse("web:run-new", args=[world.study.pk])
    plain = sound(browser("pi").get(there), 200)
    assert "malicious-sites" not in plain.text
    assert "SCAFFOLD needs a script that corrects its steps" in plain.text
    chosen = sound(browser("pi").get(there, {"strategy": "krum", "label": "Robust", "rounds": "7"}), 200)
    assert "malicious-sites" in chosen.text
    assert "Every round needs 2 × malicious-sites + 3 sites." in chosen.text
    assert "Blanchard" in chosen.text
    content = browser("pi").get(there, {"strategy": "krum", "label": "Robust"}).content.decode()
    assert 'value="Robust"' in content


def test_a_strategy_with_too_few_sites_is_refused_on_the_page(world: World, browser: Browser) -> None:
    there = reverse("web:run-new", args=[world.study.pk])
    page = sound(browser("pi").post(there, run_fields(world, strategy="krum")), 400)
    assert "E_TOO_FEW_SITES" in page.text
    answer = browser("pi").post(there, run_fields(world, strategy="fedadam", **{"strategy:fedadam:tau": "0.5"}))
    assert answer.status_code == 302
    run = Run.objects.get(label="Planned")
    assert (run.strategy, run.strategy_parameters["tau"], run.strategy_parameters["beta-1"]) == ("fedadam", 0.5, 0.9)

"""People and roles, and the protocol: the pages do what the services allow, and say what they refuse."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.urls import reverse

from accounts.groups import holders
from accounts.models import User
from accounts.roles import Role
from accounts.services import create_site, grant_role
from audit.models import Event
from studies.lifecycle.models import ProtocolVersion
from studies.lifecycle.services import PROTOCOL_BYTES
from tests.api.world import World
from tests.web.conftest import Browser
from tests.web.markup import Page, assert_sound


def sound(answer: HttpResponse, status: int) -> Page:
    assert answer.status_code == status
    return assert_sound(answer.content.decode())


def test_an_investigator_gives_a_role_and_takes_it_back(world: World, browser: Browser) -> None:
    pi, there = browser("pi"), reverse("web:study-people", args=[world.study.pk])
    page = sound(pi.post(there, {"email": world.stranger.email.upper(), "role": "co_investigator"}, follow=True), 200)
    assert "Sam Stranger is co-investigator now." in page.text
    assert list(holders(Role.CO_INVESTIGATOR, world.study)) == [world.stranger]
    revoke = reverse("web:study-role-revoke", args=[world.study.pk, world.stranger.pk, "co_investigator"])
    assert f'action="{revoke}"' in pi.get(there).content.decode()
    page = sound(pi.post(revoke, follow=True), 200)
    assert "is not co-investigator any more" in page.text
    assert not holders(Role.CO_INVESTIGATOR, world.study).exists()
    actions = Event.objects.filter(study=str(world.study.pk), action__startswith="accounts:role").order_by("pk")
    assert [event.action for event in actions][-2:] == ["accounts:role:granted", "accounts:role:revoked"]


@pytest.mark.parametrize(
    ("email", "role", "sentence"),
    [
        ("nobody@demo.example", "auditor", "E_NOT_FOUND"),
        ("ada@demo.example", "auditor", "E_DUTIES"),
        ("auditor@demo.example", "auditor", "E_EXISTS"),
        ("stranger@demo.example", "admin", "Select a valid choice"),
        ("", "auditor", "This field is required"),
    ],
)
def test_a_role_that_cannot_be_given_is_explained(
    email: str, role: str, sentence: str, world: World, browser: Browser
) -> None:
    there = reverse("web:study-people", args=[world.study.pk])
    page = sound(browser("pi").post(there, {"email": email, "role": role}), 400)
    assert sentence in page.text


def test_the_last_investigator_stays(world: World, browser: Browser) -> None:
    there = reverse("web:study-role-revoke", args=[world.study.pk, world.pi.pk, "pi"])
    assert "E_STATE" in sound(browser("pi").post(there, follow=True), 200).text
    assert browser("pi").post(there.replace("/pi/", "/king/")).status_code == 404


@pytest.mark.parametrize("who", ["auditor", "site_admin"])
def test_others_see_the_people_and_learn_of_no_account(who: str, world: World, browser: Browser) -> None:
    there = reverse("web:study-people", args=[world.study.pk])
    page = browser(who).get(there)
    assert "Pat Investigator" in sound(page, 200).text
    assert "Give a role" not in page.content.decode()
    for email in ("nobody@demo.example", "stranger@demo.example"):
        assert browser(who).post(there, {"email": email, "role": "auditor"}).status_code == 403


def test_a_sites_first_admin_is_appointed_by_the_platforms_administrator(world: World, browser: Browser) -> None:
    site = create_site(name="Budapest", short_name="budapest", by=world.admin)
    admin, there = browser("admin"), reverse("web:site-people", args=[site.pk])
    fields = {"email": world.stranger.email, "role": "admin"}
    assert "is site admin now" in sound(admin.post(there, fields, follow=True), 200).text
    assert admin.post(there, {**fields, "email": world.auditor.email}).status_code == 403
    fields = {"email": world.auditor.email, "role": "steward"}
    assert "is data steward now" in sound(browser("stranger").post(there, fields, follow=True), 200).text
    revoke = reverse("web:site-role-revoke", args=[site.pk, world.auditor.pk, "steward"])
    assert "is not data steward any more" in sound(browser("stranger").post(revoke, follow=True), 200).text


def test_a_site_whose_admin_left_is_given_another_one_by_the_page_too(world: World, browser: Browser) -> None:
    grant_role(user=world.stranger, role=Role.STEWARD, obj=world.site, by=world.site_admin)
    world.site_admin.is_active = False
    world.site_admin.save()
    there = reverse("web:site-people", args=[world.site.pk])
    assert "Give a role" in sound(browser("admin").get(there), 200).text
    newcomer = User.objects.create_user("new@demo.example", name="New Admin")
    page = sound(browser("admin").post(there, {"email": newcomer.email, "role": "admin"}, follow=True), 200)
    assert "New Admin is site admin now" in page.text


def test_a_study_that_nobody_leads_is_given_an_investigator(world: World, browser: Browser) -> None:
    admin, there = browser("admin"), reverse("web:study-investigator", args=[world.study.pk])
    assert admin.get(there).status_code == 404
    world.pi.is_active = False
    world.pi.save()
    assert there in sound(admin.get("/"), 200).targets
    for who in ("stranger", "auditor", "site_admin"):
        assert browser(who).get(there).status_code == 404
    assert "E_DUTIES" in sound(admin.post(there, {"email": world.site_admin.email}), 400).text
    page = sound(admin.post(there, {"email": world.stranger.email}, follow=True), 200)
    assert "Sam Stranger is principal investigator now." in page.text
    assert there not in page.targets
    assert browser("stranger").get(reverse("web:study", args=[world.study.pk])).status_code == 200
    assert admin.get(there).status_code == 404


def test_a_protocol_is_uploaded_and_each_version_fetched(world: World, browser: Browser) -> None:
    pi, there = browser("pi"), reverse("web:study-protocol", args=[world.study.pk])
    upload = SimpleUploadedFile("protocol 2 ä.md", b"<script>alert(1)</script>")
    page = sound(pi.post(reverse("web:protocol-new", args=[world.study.pk]), {"file": upload}, follow=True), 200)
    assert "Version 2 of the protocol is kept" in page.text
    newest, first = (reverse("web:protocol-file", args=[world.study.pk, number]) for number in (2, 1))
    assert {newest, first} <= set(page.targets)
    for who in ("site_admin", "auditor"):
        assert browser(who).get(first).content == b"# Protocol\n"
        assert sound(browser(who).get(there), 200)
    answer = pi.get(newest)
    assert answer.content == b"<script>alert(1)</script>"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert "Version 2" in sound(pi.get(reverse("web:study", args=[world.study.pk])), 200).text


def test_a_protocol_is_a_document_by_its_content(world: World, browser: Browser) -> None:
    pi, there = browser("pi"), reverse("web:protocol-new", args=[world.study.pk])
    assert "Word (DOCX, without macros)" in sound(pi.get(there), 200).text
    picture = b"\x89PNG\r\n\x1a\n\x00"
    page = sound(pi.post(there, {"file": SimpleUploadedFile("protocol.pdf", picture)}), 400)
    assert "A protocol is a PDF" in page.text
    told = world.client("pi").post(
        f"/api/v1/studies/{world.study.pk}/protocol", {"file": SimpleUploadedFile("p.pdf", picture)}, format="multipart"
    )
    assert (told.status_code, told.json()["code"], told.json()["errors"][0]["field"]) == (400, "E_PROTOCOL", "file")
    assert ProtocolVersion.objects.count() == 1


def test_a_protocol_is_not_for_everybody(world: World, browser: Browser) -> None:
    there = reverse("web:protocol-file", args=[world.study.pk, 1])
    assert browser("anonymous").get(there).status_code == 302
    for who in ("stranger", "admin"):
        assert browser(who).get(there).status_code == 404
    assert browser("pi").get(there.replace("/1", "/9")).status_code == 404
    upload = {"file": SimpleUploadedFile("p.md", b"x")}
    for who, status in (("auditor", 403), ("site_admin", 403), ("stranger", 404)):
        assert browser(who).post(reverse("web:protocol-new", args=[world.study.pk]), upload).status_code == status
    assert ProtocolVersion.objects.count() == 1


def test_a_protocol_that_does_not_fit_is_explained(world: World, browser: Browser) -> None:
    there = reverse("web:protocol-new", args=[world.study.pk])
    assert "This field is required" in sound(browser("pi").post(there, {"file": ""}), 400).text
    large = SimpleUploadedFile("p.pdf", b"x" * (PROTOCOL_BYTES + 1))
    assert "at most 10 MiB" in sound(browser("pi").post(there, {"file": large}), 400).text
    world.study.state = "closed"
    world.study.save()
    page = sound(browser("pi").post(there, {"file": SimpleUploadedFile("p.md", b"x")}), 400)
    assert "E_STATE" in page.text
    assert "New version" not in sound(browser("pi").get(reverse("web:study-protocol", args=[world.study.pk])), 200).text

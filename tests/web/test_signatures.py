"""The sites' signatures stay in the record, and every version that waits for one is named."""

from __future__ import annotations

from datetime import timedelta

from django.urls import reverse

from federation.runs.services import Plan, create_run
from fedstudy_core.times import format_time
from portal.web.presenters.picture import pictures_of
from portal.web.presenters.scripts import ApprovalRow
from portal.web.presenters.studies import study_row, version_rows
from portal.web.presenters.waits import INVESTIGATOR, Reader, Wait, waits_of
from studies.dictionary.models import Dataset
from studies.enrolment.services import invite_site, withdraw_site
from studies.enrolment.states import LEVELS, OFFERED_LEVELS
from studies.scripts.services import create_script, submit_version
from tests.api.world import World, fab
from tests.factories.studies import site_in_study
from tests.web.conftest import Browser
from tests.web.markup import assert_sound


def approvals_shown(world: World, browser: Browser) -> tuple[list[ApprovalRow], str]:
    answer = browser("pi").get(reverse("web:version", args=[world.version.pk]))
    return answer.context["approvals"], assert_sound(answer.content.decode()).text


def test_the_signature_of_a_site_that_withdrew_stays_with_its_dates(world: World, browser: Browser) -> None:
    withdraw_site(enrolment=world.enrolment, reason="No more staff", by=world.site_admin)
    (row,), text = approvals_shown(world, browser)
    assert (row.site, row.left, row.decision) == (world.site.name, "withdrawn", "revoked")
    assert row.signatures[0].at == world.approval.signed_at
    assert row.revoked_at is not None
    assert "the site withdrew from the study" in text
    (picture,) = pictures_of([world.study])
    (version,) = version_rows(picture)
    assert (version.approved, version.asked, version.revoked) == (0, 0, 1)


def test_a_site_invited_again_keeps_what_it_signed_before(world: World, browser: Browser) -> None:
    withdraw_site(enrolment=world.enrolment, by=world.site_admin)
    invite_site(study=world.study, site=world.site, by=world.pi)
    (row,), _ = approvals_shown(world, browser)
    assert (row.decision, row.left) == ("revoked", "invited")


def test_the_page_and_the_api_say_when_the_site_wrote_its_statement(world: World, browser: Browser) -> None:
    (row,), _ = approvals_shown(world, browser)
    (told,) = world.client("pi").get(f"/api/v1/script-versions/{world.version.pk}/approvals").json()["results"]
    assert told["signed_at"] == format_time(row.signatures[0].at) == world.approval.statement["issued_at"]
    assert world.approval.signed_at - world.approval.not_before == timedelta(minutes=1)


def waits(world: World) -> list[Wait]:
    (picture,) = pictures_of([world.study])
    return waits_of(picture, Reader())


def test_every_script_whose_newest_version_is_unsigned_is_waited_for(world: World) -> None:
    assert [(wait.party, wait.text) for wait in waits(world)] == [(INVESTIGATOR, "start “First”")]
    other = create_script(study=world.study, name="Means", by=world.pi)
    submit_version(script=other, bundle=fab(), by=world.pi)
    submit_version(script=world.script, bundle=fab("1.0.1"), by=world.pi)
    of_sites = [wait.text for wait in waits(world) if wait.party == world.site.name]
    assert of_sites == ["review and sign Logistic regression v2", "review and sign Means v1"]


def test_an_older_version_is_waited_for_while_a_planned_run_needs_it_and_nobody_is_told_to_start_it(
    world: World,
) -> None:
    other = create_script(study=world.study, name="Means", by=world.pi)
    first = submit_version(script=other, bundle=fab(), by=world.pi)
    submit_version(script=other, bundle=fab("1.0.1"), by=world.pi)
    create_run(study=world.study, version=first, plan=Plan(label="Early"), by=world.pi)
    texts = [wait.text for wait in waits(world)]
    assert "review and sign Means v1" in texts
    assert "start “Early”" not in texts
    assert "start “First”" in texts


def test_commands_are_quoted_for_the_shell(world: World, browser: Browser) -> None:
    Dataset.objects.filter(pk=world.dataset.pk).update(name="heart; reboot")
    (row,), _ = approvals_shown(world, browser)
    assert row.command.endswith("--dataset 'heart; reboot'")


def test_the_list_of_studies_shows_the_newest_run_over_most_sites(world: World) -> None:
    second = site_in_study(world.study, world.pi)
    both = create_run(study=world.study, version=world.version, plan=Plan(label="Both"), by=world.pi)
    create_run(
        study=world.study, version=world.version, plan=Plan(label="Alone", sites=[str(second.site.pk)]), by=world.pi
    )
    (picture,) = pictures_of([world.study])
    shown = study_row(picture, Reader(), "").run
    assert shown is not None
    assert (shown.label, shown.sites) == (both.label, 2)


def test_words_count_one_thing_as_one(world: World, browser: Browser) -> None:
    (row,), _ = approvals_shown(world, browser)
    assert "at least 1 site," in row.limits


def test_levels_that_nothing_serves_yet_are_not_offered(world: World, browser: Browser) -> None:
    page = browser("pi").get(reverse("web:enrolment-new", args=[world.study.pk])).content.decode()
    assert [level for level in LEVELS if f'value="{level}"' in page] == list(OFFERED_LEVELS)

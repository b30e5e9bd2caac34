"""Scripts and their versions."""

from __future__ import annotations

import pytest

from accounts.roles import Role
from audit.models import Event
from fedstudy_core.analysis import EDITION
from fedstudy_core.errors import Conflict, Forbidden, Invalid, NotFound, Refusal
from studies.enrolment.services import invite_site, withdraw_site
from studies.lifecycle.states import STUDY
from studies.scripts import selectors
from studies.scripts.models import Script, ScriptVersion
from studies.scripts.services import create_script, refresh_findings, submit_version, withdraw_version
from tests.factories.accounts import UserFactory, holder_of
from tests.factories.studies import bundle_of, new_site, new_study, new_version, site_in_study

pytestmark = pytest.mark.django_db


def test_a_version_is_read_from_its_bundle() -> None:
    study, pi = new_study()
    fab = bundle_of()
    version = submit_version(script=create_script(study=study, name=" tiny ", by=pi), bundle=fab, by=pi)
    assert (str(version), version.state, version.size) == ("tiny v1", "submitted", len(fab))
    assert bytes(ScriptVersion.objects.get(pk=version.pk).bundle) == fab
    assert {"pyproject.toml", "tiny/client.py"} <= {file["path"] for file in version.files}
    assert version.default_config == {"local-steps": 10, "learning-rate": 0.1}
    assert version.declaration["initial"] == "query.initial"
    assert {parameter["name"] for parameter in version.parameters} == {"local-steps", "learning-rate"}
    told = Event.objects.get(action="scripts:version:submitted")
    assert version.sha256 in told.detail


def test_versions_are_counted_and_never_the_same() -> None:
    study, pi = new_study()
    version = new_version(study, pi)
    second = submit_version(script=version.script, bundle=bundle_of(more=b"x = 1\n"), by=pi)
    assert second.number == 2
    with pytest.raises(Conflict, match="version 1") as refused:
        submit_version(script=version.script, bundle=bundle_of(), by=pi)
    assert refused.value.code == "E_EXISTS"


@pytest.mark.parametrize(
    ("code", "fab"),
    [("E_BUNDLE_NOT_ZIP", b"no zip"), ("E_BUNDLE_NOT_ZIP", b""), ("E_BUNDLE_TOO_LARGE", b"x" * 10_485_761)],
)
def test_unsound_bundles_leave_nothing_behind(code: str, fab: bytes) -> None:
    study, pi = new_study()
    script = create_script(study=study, name="tiny", by=pi)
    events = Event.objects.count()
    with pytest.raises(Refusal) as refused:
        submit_version(script=script, bundle=fab, by=pi)
    assert refused.value.code == code
    assert not ScriptVersion.objects.exists()
    assert Event.objects.count() == events


@pytest.mark.parametrize("state", STUDY.states)
def test_scripts_are_added_while_a_study_is_open(state: str) -> None:
    study, pi = new_study(state=state)
    if state in ("draft", "recruiting", "active"):
        assert create_script(study=study, name="tiny", by=pi).name == "tiny"
        return
    script = Script.objects.create(study=study, name="old", created_by=pi)
    for add in (
        lambda: create_script(study=study, name="tiny", by=pi),
        lambda: submit_version(script=script, bundle=bundle_of(), by=pi),
    ):
        with pytest.raises(Conflict) as refused:
            add()
        assert refused.value.code == "E_STATE"


def test_names_are_given_once_in_a_study() -> None:
    study, pi = new_study()
    create_script(study=study, name="tiny", by=pi)
    with pytest.raises(Conflict):
        create_script(study=study, name="Tiny", by=pi)
    for name in (" ", "x" * 121):
        with pytest.raises(Invalid):
            create_script(study=study, name=name, by=pi)


def test_investigators_submit_and_take_back() -> None:
    study, pi = new_study(state="recruiting")
    part = site_in_study(study, pi)
    version = new_version(study, holder_of(Role.CO_INVESTIGATOR, study))
    for person in (holder_of(Role.AUDITOR, study), part.admin):
        with pytest.raises(Forbidden):
            create_script(study=study, name="other", by=person)
        with pytest.raises(Forbidden):
            submit_version(script=version.script, bundle=bundle_of(more=b""), by=person)
        with pytest.raises(Forbidden):
            withdraw_version(version=version, by=person)
    with pytest.raises(NotFound):
        create_script(study=study, name="other", by=UserFactory.create())
    assert withdraw_version(version=version, by=pi).state == "withdrawn"
    with pytest.raises(Conflict):
        withdraw_version(version=version, by=pi)


def test_who_reads_scripts() -> None:
    study, pi = new_study(state="recruiting")
    version = new_version(study, pi)
    site, admin = new_site()
    assert not selectors.versions_visible_to(admin).exists()
    invite_site(study=study, site=site, by=pi)
    for person in (pi, admin, holder_of(Role.STEWARD, site), holder_of(Role.AUDITOR, study)):
        assert list(selectors.scripts_visible_to(person)) == [version.script]
        assert list(selectors.versions_visible_to(person)) == [version]
    assert not selectors.scripts_visible_to(UserFactory.create()).exists()


def test_a_site_is_offered_what_its_studies_submitted() -> None:
    study, pi = new_study(state="recruiting")
    part = site_in_study(study, pi)
    version = new_version(study, pi)
    elsewhere, other_pi = new_study(title="Elsewhere")
    new_version(elsewhere, other_pi)
    assert list(selectors.versions_for_site(part.site.pk)) == [version]
    withdraw_version(version=version, by=pi)
    assert not selectors.versions_for_site(part.site.pk).exists()
    submit_version(script=version.script, bundle=bundle_of(more=b"x = 1\n"), by=pi)
    assert selectors.versions_for_site(part.site.pk).count() == 1
    withdraw_site(enrolment=part.enrolment, by=part.admin)
    assert not selectors.versions_for_site(part.site.pk).exists()


def test_findings_are_kept_with_the_version() -> None:
    study, pi = new_study()
    script = create_script(study=study, name="tiny", by=pi)
    version = submit_version(script=script, bundle=bundle_of(net=b"import socket\n"), by=pi)
    assert [(item["path"], item["rule"], item["category"]) for item in version.findings] == [
        ("tiny/net.py", "NETWORK_MODULE", "network")
    ]
    assert version.edition == EDITION


def test_findings_of_older_rules_are_made_anew() -> None:
    study, pi = new_study()
    version = new_version(study, pi)
    assert list(selectors.outdated_findings()) == []
    ScriptVersion.objects.filter(pk=version.pk).update(edition=0, findings=[{"code": "OLD"}])
    assert list(selectors.outdated_findings()) == [version]
    assert refresh_findings(version=version)
    assert not refresh_findings(version=version)
    version.refresh_from_db()
    assert (version.edition, version.findings) == (EDITION, [])

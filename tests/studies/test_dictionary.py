"""Data dictionaries, and the datasets that nodes offer."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.roles import Role
from audit.models import Event
from fedstudy_core.bands import band
from fedstudy_core.errors import Conflict, FedStudyError, Forbidden, Invalid
from nodes.registry.services import revoke_node
from studies.dictionary import selectors
from studies.dictionary.models import Dataset, DictionaryVersion
from studies.dictionary.services import BANDS, publish_dictionary, register_dataset
from studies.enrolment.models import Enrolment
from tests.factories.accounts import UserFactory, holder_of
from tests.factories.registry import active_node, pending_node
from tests.factories.studies import VARIABLES, SiteInStudy, dataset_facts, new_site, new_study, site_in_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def part() -> SiteInStudy:
    return site_in_study(*new_study(state="recruiting"))


def offer(part: SiteInStudy, **facts: Any) -> Dataset:
    return register_dataset(
        study=part.study, site=part.site, node_id=part.node.pk, facts=dataset_facts(**facts), by=part.node
    )


def state_of(part: SiteInStudy) -> str:
    return Enrolment.objects.get(pk=part.enrolment.pk).state


BROKEN = {"checked": True, "passed": False, "findings": [
    {"variable": "age", "code": "OUT_OF_RANGE", "severity": "error", "count_band": "1-9", "detail": "Above 120."}
]}  # fmt: skip


def test_versions_are_counted_and_the_same_variables_change_nothing() -> None:
    study, pi = new_study()
    first = publish_dictionary(study=study, variables=VARIABLES, by=pi)
    again = publish_dictionary(study=study, variables={"variables": VARIABLES}, by=pi)
    second = publish_dictionary(study=study, variables=[*VARIABLES, {"name": "sex", "type": "integer"}], by=pi)
    assert (first.number, again.pk, second.number) == (1, first.pk, 2)
    assert first.parsed.sha256 == first.sha256
    assert selectors.current_dictionary(study) == second
    assert Event.objects.filter(action="dictionary:version:published").count() == 2


def test_a_dictionary_with_duplicates_leaves_nothing_behind() -> None:
    study, pi = new_study()
    with pytest.raises(Invalid) as refused:
        publish_dictionary(study=study, variables=[VARIABLES[0], VARIABLES[0]], by=pi)
    assert refused.value.code == "E_DICTIONARY"
    assert refused.value.errors
    assert not DictionaryVersion.objects.exists()


def test_versions_are_never_changed() -> None:
    study, pi = new_study()
    version = publish_dictionary(study=study, variables=VARIABLES, by=pi)
    with pytest.raises(Exception, match="Cannot update rows"):
        DictionaryVersion.objects.filter(pk=version.pk).update(number=7)


def test_a_valid_dataset_makes_the_site_ready(part: SiteInStudy) -> None:
    assert (part.dataset.state, part.enrolment.state, part.enrolment.dataset_id) == ("valid", "ready", part.dataset.pk)
    told = Event.objects.filter(site=str(part.site.pk), study=str(part.study.pk)).order_by("pk")
    assert [event.action for event in told] == [
        "enrolment:site:invited",
        "enrolment:site:accepted",
        "dictionary:dataset:registered",
        "enrolment:site:ready",
    ]
    assert told[2].actor == f"node:{part.node.pk}"


@pytest.mark.parametrize("report", [BROKEN, {"checked": False, "passed": True, "findings": []}])
def test_a_dataset_that_does_not_fit_is_kept_with_its_report(part: SiteInStudy, report: dict[str, Any]) -> None:
    dataset = offer(part, report=report)
    assert (dataset.pk, dataset.state, dataset.findings) == (part.dataset.pk, "invalid", report["findings"])
    assert state_of(part) == "accepted"
    assert offer(part).state == "valid"
    assert state_of(part) == "ready"


def test_an_invalid_second_dataset_leaves_the_site_ready(part: SiteInStudy) -> None:
    second = offer(part, name="more rows", report=BROKEN)
    assert (second.state, state_of(part)) == ("invalid", "ready")
    assert Enrolment.objects.get(pk=part.enrolment.pk).dataset_id == part.dataset.pk


def test_other_data_under_the_same_name_replaces_the_dataset(part: SiteInStudy) -> None:
    second = offer(part, fingerprint="e" * 64)
    assert second.pk != part.dataset.pk
    assert Dataset.objects.get(pk=part.dataset.pk).state == "withdrawn"
    enrolment = Enrolment.objects.get(pk=part.enrolment.pk)
    assert (enrolment.state, enrolment.dataset_id) == ("ready", second.pk)
    assert list(selectors.datasets_of_node(part.node.pk)) == [second]


def test_other_data_that_does_not_fit_makes_the_site_wait(part: SiteInStudy) -> None:
    offer(part, fingerprint="e" * 64, report=BROKEN)
    assert state_of(part) == "accepted"


def test_a_new_dictionary_asks_for_new_checks(part: SiteInStudy) -> None:
    publish_dictionary(study=part.study, variables=[*VARIABLES, {"name": "sex", "type": "integer"}], by=part.pi)
    assert state_of(part) == "accepted"
    assert offer(part).dictionary.number == 2
    assert state_of(part) == "ready"


@pytest.mark.parametrize(
    ("field", "facts"),
    [
        ("rows_band", {"rows_band": "137"}),
        ("rows_band", {"rows_band": "137-137"}),
        ("columns", {"columns": ["x" * 201]}),
        ("columns", {"columns": ["x"] * 2001}),
        ("report", {"report": {**BROKEN, "findings": [{**BROKEN["findings"][0], "count_band": "3"}]}}),
        ("report", {"report": {**BROKEN, "findings": [{**BROKEN["findings"][0], "detail": "x" * 501}]}}),
    ],
)
def test_facts_that_tell_too_much_are_refused(part: SiteInStudy, field: str, facts: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        offer(part, name="other", **facts)
    assert [problem.field for problem in refused.value.errors] == [field]
    assert Dataset.objects.count() == 1


def test_bands_are_those_of_the_agent() -> None:
    counts = (0, 1, 9, 10, 49, 50, 99, 100, 499, 500, 999, 1000, 5000, 10_000, 50_000, 99_999, 100_000, 10**9)
    assert {band(count) for count in counts} == BANDS


def refusal_of(**arguments: Any) -> FedStudyError:
    with pytest.raises((Forbidden, Conflict)) as refused:
        register_dataset(facts=dataset_facts(name="other"), **arguments)
    return refused.value


def test_only_a_confirmed_node_of_the_site_offers_data(part: SiteInStudy) -> None:
    other_site, other_admin = new_site()
    stranger, _ = active_node(other_site, other_admin)
    waiting, _ = pending_node(part.site, part.admin, name="second")
    second, _ = active_node(part.site, part.admin, name="third")
    where: dict[str, Any] = {"study": part.study, "site": part.site}
    assert refusal_of(**where, node_id=part.node.pk, by=part.admin).code == "E_NODE"
    assert refusal_of(**where, node_id=waiting.pk, by=waiting).code == "E_NODE"
    assert refusal_of(**where, node_id=stranger.pk, by=stranger).code == "E_FORBIDDEN"
    assert refusal_of(**where, node_id=part.node.pk, by=second).code == "E_FORBIDDEN"


def test_a_site_that_takes_no_part_offers_no_data(part: SiteInStudy) -> None:
    site, admin = new_site()
    node, _ = active_node(site, admin)
    assert refusal_of(study=part.study, site=site, node_id=node.pk, by=node).code == "E_NOT_READY"
    assert Dataset.objects.count() == 1


@pytest.mark.parametrize("state", ["closed", "archived"])
def test_a_closed_study_takes_no_data(part: SiteInStudy, state: str) -> None:
    for step in ["closed", "archived"][: ["closed", "archived"].index(state) + 1]:
        part.study.state = step
        part.study.save()
    assert refusal_of(study=part.study, site=part.site, node_id=part.node.pk, by=part.node).code == "E_STATE"


def test_a_revoked_node_takes_its_data_with_it(part: SiteInStudy) -> None:
    revoke_node(node=part.node, by=part.admin)
    assert Dataset.objects.get(pk=part.dataset.pk).state == "withdrawn"
    assert state_of(part) == "accepted"


def test_who_sees_datasets(part: SiteInStudy) -> None:
    other = site_in_study(part.study, part.pi)
    both = {part.dataset, other.dataset}
    assert set(selectors.datasets_visible_to(part.pi)) == both
    assert set(selectors.datasets_visible_to(holder_of(Role.AUDITOR, part.study))) == both
    assert set(selectors.datasets_visible_to(part.admin)) == {part.dataset}
    assert set(selectors.datasets_visible_to(holder_of(Role.STEWARD, other.site))) == {other.dataset}
    assert not selectors.datasets_visible_to(UserFactory.create()).exists()
    assert set(selectors.versions_visible_to(part.admin)) == {part.dataset.dictionary}

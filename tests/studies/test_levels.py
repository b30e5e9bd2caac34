"""How far a site takes part: choosing, changing, and what of a study's rows stays at its hospitals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from accounts.roles import Role
from audit.models import Event
from audit.presenters import detail_of, sentence
from fedstudy_core.errors import Conflict, Forbidden, Invalid, NotFound, Refusal
from notifications.models import Notification
from studies.enrolment import pooling
from studies.enrolment.degree import degree_of, middle_of
from studies.enrolment.models import Enrolment, LevelChange
from studies.enrolment.services import accept_invitation, change_level, invite_site, withdraw_site
from studies.lifecycle.models import Study
from tests.factories.accounts import UserFactory, holder_of
from tests.factories.studies import SiteInStudy, new_site, new_study, site_in_study

pytestmark = pytest.mark.django_db


@dataclass
class Pool:
    """A pool that knows these consents and rows."""

    consents: set[UUID] = field(default_factory=set)
    rows: dict[UUID, int] = field(default_factory=dict)

    def check_consent(self, enrolment: Enrolment, level: str) -> None:
        if enrolment.pk not in self.consents:
            raise Refusal("E_NOT_APPROVED", f"No consent to {level} is on file.")

    def rows_pooled(self, study: Study) -> Mapping[UUID, int]:
        return self.rows

    def tables(self, study: Study) -> set[UUID]:
        return set()


@pytest.fixture
def part() -> SiteInStudy:
    return site_in_study(*new_study(state="recruiting"))


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    monkeypatch.setattr(pooling, "_registered", [])
    made = Pool()
    pooling.register(made)
    yield made


def levels_of(enrolment: Enrolment) -> list[str]:
    return list(LevelChange.objects.filter(enrolment=enrolment).values_list("level", flat=True))


def test_a_site_chooses_its_level_when_it_accepts() -> None:
    study, pi = new_study(state="recruiting")
    site, admin = new_site()
    enrolment = invite_site(study=study, site=site, level="F2", by=pi)
    with pytest.raises(Invalid):
        accept_invitation(enrolment=enrolment, level="F3", by=admin)
    enrolment = accept_invitation(enrolment=enrolment, level="F0", by=admin)
    assert (enrolment.state, enrolment.level, levels_of(enrolment)) == ("accepted", "F0", ["F0"])
    told = detail_of(Event.objects.get(action="enrolment:site:accepted"))
    assert (told["level"], told["proposed"]) == ("F0", "F2")


def test_a_site_changes_its_level_and_everybody_concerned_is_told(part: SiteInStudy) -> None:
    changed = change_level(enrolment=part.enrolment, level="F0", by=part.admin)
    assert (changed.level, changed.state) == ("F0", "ready")
    change_level(enrolment=changed, level="F2", by=part.admin)
    assert levels_of(changed) == ["F2", "F0", "F2"]
    down, up = Event.objects.filter(action="enrolment:level:changed").order_by("pk")
    assert [detail_of(down)[name] for name in ("old", "new", "gives_up")] == ["F2", "F0", ["query", "train"]]
    assert detail_of(up)["gives_up"] == []
    assert sentence(down) == f"{part.admin.name} changed the level of {part.site.name} from F2 to F0."
    told = Notification.objects.filter(kind="level")
    assert {row.person for row in told} == {part.pi}, "who did it knows"
    assert "at level F0 now; before it was F2" in told.earliest("created_at").subject


def test_the_same_level_again_changes_nothing(part: SiteInStudy) -> None:
    change_level(enrolment=part.enrolment, level="F2", by=part.admin)
    assert levels_of(part.enrolment) == ["F2"]
    assert not Event.objects.filter(action="enrolment:level:changed").exists()


def test_only_the_sites_admin_changes_its_level(part: SiteInStudy) -> None:
    for person in (part.pi, holder_of(Role.STEWARD, part.site), holder_of(Role.AUDITOR, part.study)):
        with pytest.raises(Forbidden):
            change_level(enrolment=part.enrolment, level="F0", by=person)
    with pytest.raises(NotFound):
        change_level(enrolment=part.enrolment, level="F0", by=UserFactory.create())
    part.enrolment.refresh_from_db()
    assert part.enrolment.level == "F2"


@pytest.mark.parametrize("level", ["", "F9", "F3", "F4"])
def test_a_level_that_nothing_holds_to_is_refused(
    part: SiteInStudy, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooling, "_registered", [])
    with pytest.raises(Invalid):
        change_level(enrolment=part.enrolment, level=level, by=part.admin)


def test_a_site_that_left_and_a_study_that_is_over_change_no_levels(part: SiteInStudy) -> None:
    other = site_in_study(part.study, part.pi)
    withdraw_site(enrolment=other.enrolment, by=other.admin)
    with pytest.raises(Conflict):
        change_level(enrolment=other.enrolment, level="F0", by=other.admin)
    for state in ("active", "closed"):
        Study.objects.filter(pk=part.study.pk).update(state=state)
    with pytest.raises(Conflict):
        change_level(enrolment=part.enrolment, level="F0", by=part.admin)


def test_pooling_wants_a_consent(part: SiteInStudy, pool: Pool) -> None:
    with pytest.raises(Refusal, match="E_NOT_APPROVED"):
        change_level(enrolment=part.enrolment, level="F3", by=part.admin)
    pool.consents.add(part.enrolment.pk)
    assert change_level(enrolment=part.enrolment, level="F4", by=part.admin).level == "F4"


@pytest.mark.parametrize(
    ("band", "rows"), [("", 0.0), ("0", 0.0), ("1-9", 5.0), ("100-499", 299.5), ("100000+", 100_000.0)]
)
def test_a_band_counts_as_its_middle(band: str, rows: float) -> None:
    assert middle_of(band) == rows


def test_the_degree_is_the_share_of_rows_that_stay(part: SiteInStudy, pool: Pool) -> None:
    other = site_in_study(part.study, part.pi)
    pool.consents.add(other.enrolment.pk)
    pool.rows[other.enrolment.pk] = 150
    before = LevelChange.objects.count()
    change_level(enrolment=part.enrolment, level="F0", by=part.admin)
    change_level(enrolment=other.enrolment, level="F3", by=other.admin)
    assert LevelChange.objects.count() == before + 2
    rows = list(Enrolment.objects.filter(study=part.study).select_related("site", "dataset"))
    found = degree_of(part.study, rows)
    assert found.value == pytest.approx((299.5 + 149.5) / 599)
    assert {item.site: round(item.local, 3) for item in found.sites} == {
        part.site.name: 1.0,
        other.site.name: round(149.5 / 299.5, 3),
    }
    assert [(move.site, move.old, move.new) for move in found.moves] == [
        (part.site.name, "", "F2"),
        (other.site.name, "", "F2"),
        (part.site.name, "F2", "F0"),
        (other.site.name, "F2", "F3"),
    ]
    assert [move.degree for move in found.moves] == [1.0, 1.0, 1.0, found.value]


def test_without_rows_no_degree_is_known() -> None:
    study, pi = new_study(state="recruiting")
    site, admin = new_site()
    accept_invitation(enrolment=invite_site(study=study, site=site, by=pi), by=admin)
    rows = list(Enrolment.objects.filter(study=study).select_related("site", "dataset"))
    found = degree_of(study, rows)
    assert (found.value, found.sites[0].rows_band, found.moves[0].degree) == (None, "", None)

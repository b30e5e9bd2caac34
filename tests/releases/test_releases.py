"""Model cards say what is known of a model; a model leaves when data stewards of two sites in it consented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.groups import group_for
from accounts.models import Site, User
from accounts.roles import Role
from audit.models import Event
from federation.releases import services
from federation.releases.card import card_of, sha256_of
from federation.releases.markdown import as_markdown
from federation.releases.models import CoSignature, Release
from federation.releases.selectors import releases_for, sites_in, sites_to_sign_for, undecided_in
from federation.runs.models import Model, Participation, Round, Run
from federation.runs.states import FINAL
from federation.runs.storage import model_store
from fedstudy_core.canonical import digest
from fedstudy_core.errors import Conflict, Forbidden, Invalid, NotFound
from fedstudy_core.metrics import combine, with_pooled_auc
from fedstudy_core.times import format_time
from studies.enrolment.models import Enrolment
from studies.scripts.models import Approval
from tests.factories.accounts import UserFactory, holder_of
from tests.runs import scene as scenes
from tests.web.rounds import EVALUATION, HISTOGRAMS

pytestmark = pytest.mark.django_db
PARAMETERS = b"parameters"
ASKED = {"recipient": "A registry", "purpose": "To predict elsewhere"}


@dataclass
class Ended:
    """A run that has ended, with a model of three sites; one of them reported no scores."""

    run: Run
    pi: User
    sites: list[Site]

    def steward(self, number: int) -> User:
        return holder_of(Role.STEWARD, self.sites[number])

    def ask(self, **changes: Any) -> Release:
        return services.request_release(run=self.run, **{**ASKED, **changes}, by=self.pi)


def move(run: Run, state: str) -> Run:
    for step in ("running", state):
        run.state = step
        run.ended_at = timezone.now() if step in FINAL else None
        run.save()
    return run


def commit(run: Run, number: int, silent: int) -> None:
    """A round in which everybody trained, and all but one reported scores."""
    model = Model.objects.create(
        run=run, round_number=number, sha256=digest(PARAMETERS), size=10,
        schema={"weights": [[3, 4], "float32"], "bias": [[], "float32"]},
    )  # fmt: skip
    metrics = {"evaluate": with_pooled_auc(combine([EVALUATION], HISTOGRAMS))}
    round_ = Round.objects.create(
        run=run, number=number, state="committed", phase="evaluate", model_out=model, metrics=metrics,
        committed_at=timezone.now(), duration_ms=900,
    )  # fmt: skip
    for participant in run.participants.all():
        values = {"loss": 0.5} if participant.position == silent else EVALUATION
        now = timezone.now()
        for phase in ("train", "evaluate"):
            Participation.objects.create(
                round=round_, participant=participant, phase=phase, state="done", examples=80, metrics=values,
                asked_at=now, answered_at=now,
            )  # fmt: skip


def build(*, sites: int = 3, state: str = "completed") -> Ended:
    run = scenes.build(sites=sites).run
    Approval.objects.update(
        statement={
            "privacy": {"min_sites": 2, "min_rows": 50},
            "outputs": {"max_norm": 7},
            "sandbox_min": "S3",
        }
    )
    for participant in run.participants.all():
        participant.approval = Approval.objects.get(site=participant.enrolment.site)
        participant.save()
    commit(run, 1, silent=sites - 1)
    pi = holder_of(Role.PI, run.study)
    found = [Site.objects.get(pk=item.enrolment.site_id) for item in run.participants.all()]
    return Ended(move(Run.objects.get(pk=run.pk), state), pi, found)


@pytest.fixture
def ended() -> Ended:
    return build()


def test_a_card_says_what_the_portal_knows(ended: Ended) -> None:
    ended.run.study.aims = "Find it early"
    ended.run.study.save()
    services.save_card(run=ended.run, intended_use="For wards", by=ended.pi)
    card = card_of(Run.objects.get(pk=ended.run.pk)).as_json()
    assert (card["aims"], card["intended_use"], card["caveats"]) == ("Find it early", "For wards", "")
    assert (card["model_sha256"], card["model_round"], card["model_parameters"]) == (digest(PARAMETERS), 1, 13)
    assert (card["rounds_committed"], card["rounds_planned"], card["strategy"]) == (1, 2, "FedAvg")
    signed_at = format_time(Approval.objects.get(site=ended.sites[0]).signed_at)
    assert card["sites"][0] == {
        "site": "Site 0", "level": "F2: model updates", "rounds": 1, "rows_band": "100-499",
        "min_sites": 2, "min_rows": 50, "max_norm": 7, "sandbox_min": "S3",
        "signatures": [{"name": "Demo Admin", "role": "", "meaning": "approved", "signed_at": signed_at}],
    }  # fmt: skip
    together, *sites = card["results"]
    assert (together["site"], together["rows"], [item["site"] for item in sites]) == ("", 8, ["Site 0", "Site 1"])
    low, high = together["auc"]["interval"]
    assert low < together["auc"]["value"] < high
    limits = " ".join(card["limits"])
    for words in ("3 sites took part", "1 of 2 planned rounds", "there is no result of Site 2"):
        assert words in limits
    assert card == card_of(Run.objects.get(pk=ended.run.pk)).as_json()


def test_a_card_in_markdown_holds_nobody_s_markup(ended: Ended) -> None:
    services.save_card(run=ended.run, caveats="# Not | a [link](http://x)\n<script>", by=ended.pi)
    text = as_markdown(card_of(ended.run).as_json())
    assert r"\# Not \| a \[link\](http://x) \<script\>" in text
    assert "| Site 0 | F2: model updates | 100-499 | 1 | 2 | 50 | 7 | S3 |" in text
    assert "| All sites | 8 | " in text
    assert text.count("\n# ") == 0


def test_words_of_a_card_are_the_investigator_s(ended: Ended) -> None:
    services.save_card(run=ended.run, intended_use=" For wards ", by=ended.pi)
    words = services.save_card(run=ended.run, caveats="Few women", by=ended.pi)
    assert (words.intended_use, words.caveats) == ("For wards", "Few women")
    services.save_card(run=ended.run, caveats="Few women", by=ended.pi)
    assert Event.objects.filter(action="releases:card:changed").count() == 2
    with pytest.raises(Forbidden):
        services.save_card(run=ended.run, caveats="", by=holder_of(Role.CO_INVESTIGATOR, ended.run.study))
    with pytest.raises(Invalid):
        services.save_card(run=ended.run, caveats="x" * 5001, by=ended.pi)


def test_two_sites_consent_and_the_model_is_released(ended: Ended, settings: Any, tmp_path: Any) -> None:
    settings.FEDSTUDY_DATA_DIR = tmp_path
    model_store().put(PARAMETERS)
    release = ended.ask()
    assert (release.state, release.signatures_needed, release.card_sha256) == ("requested", 2, sha256_of(release.card))
    first, second = ended.steward(0), ended.steward(1)
    release = services.cosign_release(release=release, site=ended.sites[0], by=first)
    assert (release.state, release.decided_at) == ("requested", None)
    with pytest.raises(Conflict, match="E_STATE"):
        services.take_model(release=release, by=ended.pi)
    with pytest.raises(Conflict, match="E_EXISTS"):
        services.cosign_release(release=release, site=ended.sites[0], by=ended.steward(0))
    release = services.cosign_release(release=release, site=ended.sites[1], by=second)
    assert release.state == "released"
    assert services.take_model(release=release, by=ended.pi)[1] == PARAMETERS
    told = Event.objects.filter(action__startswith="releases:").order_by("pk")
    assert [event.action.rpartition(":")[2] for event in told] == ["requested", "cosigned", "cosigned", "granted"]
    assert told[1].site == str(ended.sites[0].pk)
    with pytest.raises(Conflict, match="E_EXISTS"):
        ended.ask()


def test_nobody_signs_twice_for_two_sites(ended: Ended) -> None:
    steward = ended.steward(0)
    group_for(Role.STEWARD, ended.sites[1]).user_set.add(steward)  # type: ignore[attr-defined]
    release = ended.ask()
    assert sites_to_sign_for(release, steward) == ended.sites[:2]
    services.cosign_release(release=release, site=ended.sites[0], by=steward)
    assert sites_to_sign_for(release, steward) == []
    with pytest.raises(Conflict, match="E_EXISTS"):
        services.cosign_release(release=release, site=ended.sites[1], by=steward)
    with pytest.raises(IntegrityError), transaction.atomic():
        CoSignature.objects.create(release=release, site=ended.sites[1], signed_by=steward)


def test_what_waits_for_the_reader_comes_before_what_waits_for_others(ended: Ended) -> None:
    """A page shows the first ten."""
    steward, other, older = ended.steward(0), ended.steward(1), ended.ask()
    services.cosign_release(release=older, site=ended.sites[0], by=steward)
    model = Model.objects.create(run=ended.run, round_number=2, sha256=digest(b"2"), size=10, schema={})
    younger = Release.objects.create(
        **ASKED, run=ended.run, model=model, card={}, card_sha256="0" * 64, signatures_needed=2, requested_by=ended.pi
    )
    assert list(undecided_in([ended.run.study], steward)) == [younger, older]
    assert list(undecided_in([ended.run.study], other)) == [older, younger]
    assert list(undecided_in([ended.run.study], ended.pi)) == [older, younger]


def test_who_asked_for_it_does_not_consent(ended: Ended) -> None:
    group_for(Role.STEWARD, ended.sites[0]).user_set.add(ended.pi)  # type: ignore[attr-defined]
    release = ended.ask()
    assert sites_to_sign_for(release, ended.pi) == []
    with pytest.raises(Conflict, match="E_DUTIES"):
        services.cosign_release(release=release, site=ended.sites[0], by=ended.pi)
    assert not release.signatures.exists()


def fork_of(run: Run, number: int, site: Site) -> Run:
    """A run of one site that went on from a round of another."""
    fork = Run.objects.get(pk=run.pk)
    fork.pk, fork.label, fork.parent, fork.parent_round = uuid4(), "Forked", run, number
    fork.save(force_insert=True)
    participant = run.participants.get(enrolment__site=site)
    participant.pk, participant.run = None, fork
    participant.save(force_insert=True)
    commit(fork, 1, silent=0)
    return fork


def test_a_fork_s_model_is_released_by_all_whose_rows_are_in_it(ended: Ended) -> None:
    """Two sites trained before the fork, the third only tested then and trained later; one went on after it."""
    first, second, third = ended.sites
    Participation.objects.filter(participant__enrolment__site=third, phase="train").delete()
    commit(ended.run, 2, silent=2)
    before, after = ended.run.models.all()
    fork = fork_of(ended.run, 1, second)
    assert [list(sites_in(model)) for model in (before, after, fork.models.get())] == [
        [first, second], [first, second, third], [first, second],
    ]  # fmt: skip
    release = services.request_release(run=fork, **ASKED, by=ended.pi)
    assert release.signatures_needed == 2
    assert "Sites in this model: Site 0, Site 1." in " ".join(release.card["limits"])
    with pytest.raises(Invalid, match="No answer"):
        services.cosign_release(release=release, site=third, by=ended.steward(2))
    for number in (0, 1):
        site = ended.sites[number]
        release = services.cosign_release(release=release, site=site, by=ended.steward(number))
    assert release.state == "released"


def test_each_answer_to_a_server_app_of_the_script_s_own_counts(ended: Ended) -> None:
    Participation.objects.filter(participant__enrolment__site=ended.sites[2], phase="train").delete()
    Run.objects.filter(pk=ended.run.pk).update(strategy="own-server")
    assert list(sites_in(Model.objects.get(run=ended.run))) == ended.sites


def test_a_refusal_says_why_and_ends_it(ended: Ended) -> None:
    release, steward = ended.ask(), ended.steward(0)
    with pytest.raises(Invalid):
        services.refuse_release(release=release, site=ended.sites[0], reason=" ", by=steward)
    release = services.refuse_release(release=release, site=ended.sites[0], reason="Too few rows", by=steward)
    assert (release.state, release.reason, release.refusing_site) == ("refused", "Too few rows", ended.sites[0])
    with pytest.raises(Conflict, match="E_STATE"):
        services.cosign_release(release=release, site=ended.sites[1], by=ended.steward(1))
    with pytest.raises(Conflict, match="E_STATE"):
        services.withdraw_release(release=release, by=ended.pi)
    again = ended.ask(purpose="With more rows")
    assert services.withdraw_release(release=again, by=ended.pi).state == "withdrawn"
    assert Event.objects.filter(action="releases:release:refused", site=str(ended.sites[0].pk)).exists()


def test_only_data_stewards_of_sites_in_the_model_answer(ended: Ended) -> None:
    release, site = ended.ask(), ended.sites[0]
    from accounts.groups import give, groups_of_site
    from accounts.permissions import SITE_PEOPLE_IN_STUDY

    for group in groups_of_site(site):
        give(group, SITE_PEOPLE_IN_STUDY, ended.run.study)
    for person in (ended.pi, holder_of(Role.ADMIN, site), holder_of(Role.AUDITOR, ended.run.study)):
        with pytest.raises(Forbidden):
            services.cosign_release(release=release, site=site, by=person)
    with pytest.raises(NotFound):
        services.cosign_release(release=release, site=site, by=UserFactory.create())
    Participation.objects.filter(participant__enrolment__site=site).delete()
    with pytest.raises(Invalid, match="No answer"):
        services.cosign_release(release=release, site=site, by=ended.steward(0))
    assert not release.signatures.exists()
    assert not releases_for(UserFactory.create()).exists()
    assert releases_for(ended.pi).get() == release


def test_what_is_asked_for_has_ended_and_has_a_model(ended: Ended) -> None:
    with pytest.raises(NotFound):
        ended.ask(round_number=7)
    with pytest.raises(Invalid) as refused:
        ended.ask(recipient=" ", purpose="")
    assert [problem.field for problem in refused.value.errors] == ["recipient", "purpose"]
    with pytest.raises(Forbidden):
        services.request_release(run=ended.run, **ASKED, by=holder_of(Role.CO_INVESTIGATOR, ended.run.study))
    assert not Release.objects.exists()


def test_a_run_that_goes_on_has_no_model_to_release() -> None:
    with pytest.raises(Conflict, match="paused"):
        build(state="paused").ask()


def test_a_model_of_one_site_needs_its_consent_alone() -> None:
    ended = build(sites=1)
    release = ended.ask()
    release = services.cosign_release(release=release, site=ended.sites[0], by=ended.steward(0))
    assert release.state == "released"
    assert Enrolment.objects.count() == 1


def test_a_decided_release_stays_as_it_is(ended: Ended) -> None:
    release = services.withdraw_release(release=ended.ask(), by=ended.pi)
    with pytest.raises(Exception, match="Invalid transition"), transaction.atomic():
        Release.objects.filter(pk=release.pk).update(state="requested", decided_at=None)

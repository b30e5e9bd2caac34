"""A synthetic portal: made in an empty database only, whole, by the portal's own rules."""

from __future__ import annotations

import base64
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, transaction
from django.test import Client
from django.urls import reverse

from accounts.groups import synchronise
from accounts.models import Site, User
from accounts.permissions import Permission, can
from audit.models import Event
from federation.runs import selectors
from federation.runs.models import Participation, Round, Run
from federation.runs.states import LIVE
from fedstudy_core.codes import CODES
from fedstudy_core.errors import Conflict, Invalid
from fedstudy_core.statement import verify_statement
from nodes.registry.keys import signers
from nodes.registry.models import Node
from portal.seeding.events import KINDS
from portal.seeding.runs import FAILURE
from portal.seeding.seed import check_empty, seed
from portal.seeding.shape import Shape
from portal.starting import note_start
from portal.web.presenters.events import SENTENCES
from studies.lifecycle.models import Study
from studies.scripts.models import Approval

pytestmark = pytest.mark.filterwarnings(
    "ignore:GitWildMatchPattern:DeprecationWarning"
)  # of the library that Flower uses
SMALL = Shape(
    studies=10, sites=4, rounds=25, events=300, rounds_per_run=3, investigators=2, auditors=2, notifications=4
)


@pytest.fixture
def seeded(db: None) -> Shape:
    """A small synthetic portal."""
    seed(SMALL, password="synthetic people only")
    return SMALL


def test_everything_is_there(seeded: Shape) -> None:
    counted = {"studies": Study, "sites": Site, "events": Event, "rounds": Round}
    assert {name: model._default_manager.count() for name, model in counted.items()} == {
        name: getattr(seeded, name) for name in counted
    }
    assert Run.objects.exclude(state="draft").count() == seeded.runs
    assert Participation.objects.exists()
    assert {user.email.partition("@")[2] for user in User.objects.all()} == {"scale.example"}
    assert all("(synthetic)" in name for name in Study.objects.values_list("title", flat=True))


def test_roles_give_what_the_table_says(seeded: Shape) -> None:
    assert synchronise() == 0
    study = Study.objects.get(slug="study-0")
    site = Site.objects.filter(enrolments__study=study).first()
    people = {name: User.objects.get(email=f"{name}-1@scale.example") for name in ("investigator", "auditor")}
    admin = User.objects.get(groups__role_group__object_id=site.pk, groups__role_group__role="admin")
    assert can(people["investigator"], Permission.RUN_START, study)
    assert can(people["auditor"], Permission.AUDIT_VIEW, study)
    assert can(admin, Permission.STUDY_VIEW, study)
    assert not can(admin, Permission.RUN_START, study)
    assert selectors.events_for(people["auditor"]).exists()


def test_what_sites_signed_verifies(seeded: Shape) -> None:
    approval = Approval.objects.select_related("version", "dataset").first()
    assert approval is not None
    node = Node.objects.get(pk=approval.node_id)
    statement = verify_statement(bytes(approval.envelope), signers(node.identity_key, node.approvers))
    assert statement.script.sha256 == approval.version.sha256
    assert statement.dataset.fingerprint == approval.dataset.fingerprint
    assert base64.b64decode(node.approval_key)


def test_nothing_in_it_is_taken_up_by_workers(seeded: Shape) -> None:
    assert not Run.objects.filter(state__in=LIVE).exists()
    assert selectors.abandoned_runs() == []


def test_the_log_is_in_order_and_stays_append_only(seeded: Shape) -> None:
    times = list(Event.objects.order_by("pk").values_list("at", flat=True))
    assert times == sorted(times)
    with pytest.raises(ProgrammingError, match="Cannot update or delete"), transaction.atomic():
        Event.objects.update(actor_label="somebody else")


def test_rows_written_later_get_numbers_of_their_own(seeded: Shape) -> None:
    run = Run.objects.filter(state="completed").first()
    assert run is not None
    added = Round.objects.create(run=run, number=1_000)
    assert added.pk > seeded.rounds


def test_it_speaks_of_what_the_portal_knows() -> None:
    assert {kind.action for kind in KINDS} <= set(SENTENCES)
    codes = {kind.detail["code"] for kind in KINDS if "code" in kind.detail} | {FAILURE}
    assert codes <= set(CODES)
    assert {kind.outcome for kind in KINDS} == {"done", "refused", "failed"}


@pytest.mark.parametrize("who", ["investigator-1", "auditor-1", "site-admin-1", "administrator-1"])
def test_people_sign_in_and_find_pages(who: str, seeded: Shape) -> None:
    client = Client()
    assert client.login(email=f"{who}@scale.example", password="synthetic people only")
    for name in ("studies", "events", "notifications", "sites"):
        assert client.get(reverse(f"web:{name}")).status_code == 200


def test_a_database_that_holds_something_is_left_alone(db: None) -> None:
    User.objects.create_user("somebody@demo.example", name="Somebody")
    with pytest.raises(Conflict, match="holds users already"):
        seed(SMALL)
    assert not Study.objects.exists()


def test_a_portal_that_has_only_started_is_empty(db: None) -> None:
    note_start()
    assert Event.objects.exists()
    check_empty()


def command(*words: str, **options: Any) -> str:
    """What the command prints."""
    said = StringIO()
    call_command("seed_scale", *words, stdout=said, **options)
    return said.getvalue()


def test_the_command_says_what_is_wrong(db: None) -> None:
    with pytest.raises(CommandError, match="Say --yes"):
        command()
    with pytest.raises(CommandError, match=r"studies: There must be at least 1\. \(E_INVALID\)"):
        command("--yes", studies=0)
    small = {"studies": 2, "sites": 2, "rounds": 2, "events": 10}
    assert "investigator-1@scale.example" in command("--yes", **small)
    with pytest.raises(CommandError, match=r"nothing takes it out again.*\(E_EXISTS\)"):
        command("--yes", **small)


def test_a_shape_without_rows_is_refused() -> None:
    with pytest.raises(Invalid):
        Shape(sites=0)

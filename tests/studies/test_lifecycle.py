"""Studies: their words, protocol and states."""

from __future__ import annotations

import pytest

from accounts.models import User
from accounts.roles import Role
from audit.models import Event
from fedstudy_core.errors import Conflict, Forbidden, Invalid, NotFound
from studies.dictionary.services import publish_dictionary
from studies.enrolment.services import invite_site
from studies.lifecycle import selectors
from studies.lifecycle.models import ProtocolVersion, Study
from studies.lifecycle.services import PROTOCOL_BYTES, add_protocol, create_study, edit_study, move_study
from studies.lifecycle.states import STUDY
from tests.factories.accounts import UserFactory, holder_of, platform_admin
from tests.factories.studies import VARIABLES, new_site, new_study, site_in_study

pytestmark = pytest.mark.django_db


def test_whoever_makes_a_study_leads_it() -> None:
    user = UserFactory.create()
    study = create_study(title="  Heart failure in the elderly ", summary="Short", aims="Long", by=user)
    assert (study.title, study.slug, study.state) == (
        "Heart failure in the elderly",
        "heart-failure-in-the-elderly",
        "draft",
    )
    assert [(held.role, held.id) for held in user.roles] == [(Role.PI, study.pk)]
    told = Event.objects.filter(study=str(study.pk)).order_by("pk").values_list("action", flat=True)
    assert list(told) == ["lifecycle:study:created", "accounts:role:granted"]


def test_platform_administrators_make_no_studies() -> None:
    with pytest.raises(Forbidden):
        create_study(title="Demo", by=platform_admin())
    assert not Study.objects.exists()


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("title", {"title": "   "}),
        ("title", {"title": "x" * 201}),
        ("summary", {"title": "Demo", "summary": "x" * 5001}),
        ("aims", {"title": "Demo", "aims": "x" * 20001}),
    ],
)
def test_words_that_do_not_fit_say_where(field: str, words: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        create_study(**words, by=UserFactory.create())
    assert [problem.field for problem in refused.value.errors] == [field]
    assert not Study.objects.exists()


def test_slugs_stay_apart() -> None:
    user = UserFactory.create()
    slugs = [create_study(title=title, by=user).slug for title in ("Demo", "Demo", "demo!", "心", "心", "x" * 200)]
    assert slugs == ["demo", "demo-2", "demo-3", "study", "study-2", "x" * 70]


def test_words_are_changed_one_by_one() -> None:
    study, pi = new_study()
    edit_study(study=study, summary="New", by=holder_of(Role.CO_INVESTIGATOR, study))
    study = edit_study(study=study, title=study.title, summary="New", by=pi)
    assert (study.title, study.summary, study.aims) == ("Demo study", "New", "")
    assert Event.objects.filter(action="lifecycle:study:edited").count() == 1


@pytest.mark.parametrize("state", STUDY.states)
@pytest.mark.parametrize("role", [Role.PI, Role.CO_INVESTIGATOR, Role.AUDITOR])
def test_who_may_change_a_study_in_which_state(state: str, role: Role) -> None:
    study, _ = new_study(state=state)
    person = holder_of(role, study)
    changes = (
        lambda: edit_study(study=study, title="Other", by=person),
        lambda: add_protocol(study=study, filename="p.md", content=b"p", by=person),
        lambda: publish_dictionary(study=study, variables=VARIABLES, by=person),
    )
    may_by_role = {Role.PI: True, Role.CO_INVESTIGATOR: state == "draft", Role.AUDITOR: False}[role]
    is_open = state in ("draft", "recruiting", "active")
    for change in changes:
        if may_by_role and is_open:
            change()
        else:
            with pytest.raises((Forbidden, Conflict)) as refused:
                change()
            expected = "E_STATE" if may_by_role else "E_FORBIDDEN"
            assert refused.value.code == expected


def test_protocols_are_counted_and_kept() -> None:
    study, pi = new_study()
    first = add_protocol(study=study, filename="protocol.md", content=b"one", by=pi)
    again = add_protocol(study=study, filename="protocol.md", content=b"one", by=pi)
    second = add_protocol(study=study, filename="protocol.md", content=b"two", by=pi)
    assert (first.number, again.pk, second.number, second.size) == (1, first.pk, 2, 3)
    assert study.protocol == second
    with pytest.raises(Exception, match="Cannot update rows"):
        ProtocolVersion.objects.filter(pk=first.pk).update(filename="other.md")


@pytest.mark.parametrize(
    ("said", "filename", "content"),
    [
        ("A file name has", "", b"x"),
        ("A file name has", "../protocol.md", b"x"),
        ("A file name has", 'a"b.md', b"x"),
        ("A file name has", "a\r\nb.md", b"x"),
        ("A file name has", "x" * 201, b"x"),
        ("at most", "protocol.md", b""),
        ("at most", "protocol.md", b"x" * (PROTOCOL_BYTES + 1)),
        ("no macros", "protocol.pdf", b"\x89PNG\r\n\x1a\n"),
        ("no macros", "protocol.hta", b"<script>"),
    ],
    ids=["empty", "folder", "quote", "lines", "long", "no content", "large", "a picture", "a program by its name"],
)
def test_protocols_that_cannot_be_kept_say_why(said: str, filename: str, content: bytes) -> None:
    study, pi = new_study()
    with pytest.raises(Invalid) as refused:
        add_protocol(study=study, filename=filename, content=content, by=pi)
    assert [problem.field for problem in refused.value.errors] == ["file"]
    assert said in refused.value.errors[0].detail


def ready_to_move(state: str) -> tuple[Study, User]:
    study, pi = new_study(state=state)
    if state in ("recruiting", "active"):
        site_in_study(study, pi)
    elif state == "draft":
        publish_dictionary(study=study, variables=VARIABLES, by=pi)
    return study, pi


@pytest.mark.parametrize("old", STUDY.states)
@pytest.mark.parametrize("new", STUDY.states)
def test_every_move_of_a_study(old: str, new: str) -> None:
    study, pi = ready_to_move(old)
    if STUDY.allows(old, new):
        moved = move_study(study=study, to=new, by=pi)
        assert (moved.state, moved.state_since > study.state_since) == (new, True)
        assert Event.objects.filter(action="lifecycle:study:moved", study=str(study.pk)).count() == 1
    else:
        with pytest.raises(Conflict) as refused:
            move_study(study=study, to=new, by=pi)
        assert refused.value.code == "E_STATE"
        assert Study.objects.get(pk=study.pk).state == old


def test_a_study_recruits_with_a_dictionary_only() -> None:
    study, pi = new_study()
    with pytest.raises(Conflict, match="data dictionary"):
        move_study(study=study, to="recruiting", by=pi)
    assert Study.objects.get(pk=study.pk).state == "draft"


def test_a_study_becomes_active_with_a_site_only() -> None:
    study, pi = new_study(state="recruiting")
    site, _ = new_site()
    invite_site(study=study, site=site, by=pi)
    with pytest.raises(Conflict, match="No site"):
        move_study(study=study, to="active", by=pi)
    assert not Event.objects.filter(action="lifecycle:study:moved").exists()


def test_only_the_investigator_moves_a_study() -> None:
    study, _ = ready_to_move("draft")
    for role in (Role.CO_INVESTIGATOR, Role.AUDITOR):
        with pytest.raises(Forbidden):
            move_study(study=study, to="recruiting", by=holder_of(role, study))
    with pytest.raises(NotFound):
        move_study(study=study, to="recruiting", by=UserFactory.create())


def test_people_see_their_studies_only() -> None:
    study, pi = new_study()
    other, other_pi = new_study(title="Other")
    assert list(selectors.visible_to(pi)) == [study]
    assert list(selectors.visible_to(other_pi)) == [other]
    assert list(selectors.visible_to(holder_of(Role.AUDITOR, study))) == [study]
    assert not selectors.visible_to(platform_admin()).exists()
    pi.is_active = False
    assert not selectors.visible_to(pi).exists()

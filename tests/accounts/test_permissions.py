"""Who may do what: the whole table, role by permission, and what follows from closed accounts and foreign objects."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.management import call_command
from guardian.shortcuts import assign_perm, remove_perm

from accounts import groups
from accounts.models import Site, User
from accounts.permissions import EVERYBODY_ELSE, NODE, PLATFORM_ADMIN, ROLE_PERMISSIONS, Permission, can, check
from accounts.roles import SITE_ROLES, STUDY_ROLES, Role
from fedstudy_core.errors import Forbidden, NotFound
from nodes.registry.models import Node
from studies.lifecycle.models import Study
from tests.factories.accounts import SiteFactory, UserFactory, holder_of, platform_admin
from tests.factories.studies import new_study

pytestmark = pytest.mark.django_db

# The rows of the matrix, spelled out once more: columns are P (PI), C (co-investigator), U (auditor),
# A (site admin), S (data steward), + (platform administrator), N (node).
MATRIX = {
    "platform.create_study": "CP",
    "platform.manage_users": "+",
    "platform.manage_sites": "+",
    "platform.view_health": "+",
    "platform.appoint_investigator": "+",
    "study.view": "PCU",
    "study.edit": "PC",
    "study.amend": "P",
    "study.move": "P",
    "study.invite": "P",
    "study.grant_roles": "P",
    "study.publish_dictionary": "PC",
    "study.view_datasets": "PCU",
    "study.submit_script": "PC",
    "study.read_script": "PCU",
    "study.start_run": "P",
    "study.stop_run": "P",
    "study.view_results": "PCU",
    "study.download_model": "P",
    "study.request_release": "P",
    "study.manage_webhooks": "P",
    "study.view_audit": "PU",
    "site.view": "AS+",
    "site.manage_people": "A",
    "site.answer_invitation": "A",
    "site.change_level": "A",
    "site.withdraw": "AS",
    "site.register_dataset": "N",
    "site.view_datasets": "AS",
    "site.approve_script": "ASN",
    "site.revoke_approval": "ASN",
    "site.cosign_release": "S",
    "site.enrol_node": "A",
    "site.revoke_node": "AS+",
    "site.view_results": "AS",
    "site.view_audit": "AS",
}


@pytest.fixture
def study() -> Study:
    return new_study()[0]


@pytest.fixture
def site() -> Site:
    site: Site = SiteFactory.create()
    groups.groups_of_site(site)
    return site


def object_of(permission: Permission, study: Study, site: Site) -> Study | Site | None:
    return {"study": study, "site": site, "platform": None}[permission.scope]


def test_the_matrix_names_every_permission() -> None:
    assert set(MATRIX) == {permission.value for permission in Permission}


@pytest.mark.parametrize("permission", Permission)
def test_every_role_has_what_the_matrix_says(permission: Permission, study: Study, site: Site) -> None:
    people = {
        "P": holder_of(Role.PI, study),
        "C": holder_of(Role.CO_INVESTIGATOR, study),
        "U": holder_of(Role.AUDITOR, study),
        "A": holder_of(Role.ADMIN, site),
        "S": holder_of(Role.STEWARD, site),
        "+": platform_admin(),
        "N": Node(site=site, name="node", state="active"),
    }
    obj = object_of(permission, study, site)
    able = {letter for letter, person in people.items() if can(person, permission, obj)}
    assert able == set(MATRIX[permission.value])


@pytest.mark.parametrize("permission", Permission)
def test_nobody_may_do_anything_elsewhere(permission: Permission, study: Study, site: Site) -> None:
    other_study, other_site = new_study(title="Other")[0], SiteFactory.create()
    obj = object_of(permission, other_study, other_site)
    if obj is None:
        return
    for role in Role:
        person = holder_of(role, study if role in STUDY_ROLES else site)
        assert not can(person, permission, obj)
        with pytest.raises(NotFound):
            check(person, permission, obj)
    assert not can(Node(site=site, name="node", state="active"), permission, obj)


@pytest.mark.parametrize("permission", Permission)
def test_closed_accounts_and_strangers_may_do_nothing(permission: Permission, study: Study, site: Site) -> None:
    obj = object_of(permission, study, site)
    people: list[User | AnonymousUser] = [AnonymousUser()]
    for role in (*STUDY_ROLES, *SITE_ROLES):
        person = holder_of(role, study if role in STUDY_ROLES else site)
        person.is_active = False
        person.save()
        people.append(person)
    people.append(UserFactory.create(is_platform_admin=True, is_active=False))
    assert not any(can(person, permission, obj) for person in people)


@pytest.mark.parametrize("state", ["expected", "pending", "revoked"])
def test_a_node_acts_only_once_it_is_confirmed(state: str, site: Site) -> None:
    node = Node(site=site, name="node", state=state)
    assert not any(can(node, permission, site) for permission in NODE)


def test_check_tells_no_stranger_that_the_object_exists(study: Study) -> None:
    with pytest.raises(NotFound) as refused:
        check(UserFactory.create(), Permission.STUDY_EDIT, study)
    assert refused.value.code == "E_NOT_FOUND"


def test_check_tells_people_of_the_study_that_their_role_does_not_allow_it(study: Study) -> None:
    with pytest.raises(Forbidden) as refused:
        check(holder_of(Role.AUDITOR, study), Permission.STUDY_EDIT, study)
    assert refused.value.code == "E_FORBIDDEN"


def test_check_of_the_platform_is_forbidden_to_others() -> None:
    with pytest.raises(Forbidden):
        check(UserFactory.create(), Permission.USERS_MANAGE)


def test_an_object_permission_is_asked_of_an_object() -> None:
    with pytest.raises(ValueError, match="asked of an object"):
        can(UserFactory.create(), Permission.STUDY_VIEW)


def test_roles_of_a_scope_hold_permissions_of_that_scope_only() -> None:
    for role, permissions in ROLE_PERMISSIONS.items():
        assert {permission.scope for permission in permissions} == {role.scope}
    assert {permission.scope for permission in PLATFORM_ADMIN | EVERYBODY_ELSE} == {"platform"}


def test_sync_roles_brings_permissions_in_line_with_the_table(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    auditor = holder_of(Role.AUDITOR, study)
    group = groups.group_for(Role.AUDITOR, study)
    assign_perm(Permission.STUDY_EDIT.codename, group, study)
    remove_perm(Permission.AUDIT_VIEW.codename, group, study)
    call_command("sync_roles")
    assert "1 roles" in capsys.readouterr().out
    assert not can(auditor, Permission.STUDY_EDIT, study)
    assert can(auditor, Permission.AUDIT_VIEW, study)
    call_command("sync_roles")
    assert "0 roles" in capsys.readouterr().out

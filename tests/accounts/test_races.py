"""Two roles at once that exclude each other: one of them is refused."""

from __future__ import annotations

import pytest

from accounts.groups import holders
from accounts.roles import Role
from accounts.services import grant_role
from tests.factories.accounts import UserFactory
from tests.factories.studies import new_study, site_in_study
from tests.races import meanwhile

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("begins", ["study", "site"])
def test_nobody_comes_to_lead_a_study_and_speak_for_a_site_of_it(begins: str) -> None:
    study, pi = new_study(state="recruiting")
    part, person = site_in_study(study, pi), UserFactory.create()
    grants = {
        "study": lambda: grant_role(user=person, role=Role.PI, obj=study, by=pi),
        "site": lambda: grant_role(user=person, role=Role.ADMIN, obj=part.site, by=part.admin),
    }
    first, second = grants.pop(begins), *grants.values()
    assert meanwhile(first, second) == "E_DUTIES"
    held = [*holders(Role.PI, study), *holders(Role.ADMIN, part.site)]
    assert held.count(person) == 1

"""The choice of a run's sites: what part each of them has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from federation.runs.pooled import levels_where_pooled
from federation.runs.roles import ADDS, TESTS, TRAINS, role_at
from federation.runs.services import Plan
from studies.enrolment.models import Enrolment

SITE = "site:"
FULL, ONLY_TESTS, OUT = "full", "tests", "out"
FULL_PART = {
    TRAINS: _("trains and tests"),
    ADDS: _("adds to exact sums and tests"),
    TESTS: _("tests the model"),
}
TESTS_BESIDE_POOL = _("tests the model beside the pool node, which has its rows; trains without that")


def part_fields(
    enrolments: Sequence[Enrolment], filled: Mapping[str, str], *, led_by_script: bool
) -> dict[str, forms.ChoiceField]:
    """A field for each ready site, by its name. Unless something is filled in, every site does all that it may.

    A site whose rows are in the table of the pool node trains at home only where that one is not in the run.

    Args:
        led_by_script: the script's own ServerApp asks whom it likes, so no site can be held to testing.
    """
    chosen = any(name.startswith(SITE) for name in filled)
    pooled = levels_where_pooled(enrolments)
    fields = {}
    for enrolment in enrolments:
        role = role_at(enrolment.level)
        is_elsewhere = role_at(pooled.get(enrolment.pk, enrolment.level)) != role
        choices = [(FULL, TESTS_BESIDE_POOL if is_elsewhere else FULL_PART[role])]
        if role != TESTS and not led_by_script:
            choices.append((ONLY_TESTS, _("only tests the model")))
        fields[f"{SITE}{enrolment.pk}"] = forms.ChoiceField(
            label=_("Part of {site}").format(site=enrolment.site.name),
            choices=[*choices, (OUT, _("not in this run"))],
            initial=OUT if chosen else FULL,
            required=False,
        )
    return fields


def sites_planned(values: Mapping[str, Any]) -> dict[str, Any]:
    """The sites of a plan and those of them that only test, from the fields' values; nothing where none was sent."""
    parts = {name.removeprefix(SITE): value for name, value in values.items() if name.startswith(SITE)}
    if not any(parts.values()):
        return {}
    return {
        "sites": [name for name, part in parts.items() if part in (FULL, ONLY_TESTS)],
        "validators": [name for name, part in parts.items() if part == ONLY_TESTS],
    }


def filled_from_sites(plan: Plan) -> dict[str, str]:
    """What the fields show for a plan that names its sites by their enrolments."""
    return {f"{SITE}{name}": ONLY_TESTS if name in plan.validators else FULL for name in plan.sites or ()}

"""The steps in which a study is set up, as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from studies.enrolment.setup import STEPS, Step
from studies.lifecycle.models import Study

TITLES = {
    "words": gettext_noop("Question and aims"),
    "protocol": gettext_noop("Protocol"),
    "dictionary": gettext_noop("Data dictionary"),
    "sites": gettext_noop("First sites"),
}


@dataclass(frozen=True)
class StepLink:
    """A step in the row of them; without an address before the study is made."""

    title: str
    href: str
    detail: str
    is_done: bool
    is_current: bool
    is_needed: bool = False


def present_steps(study: Study, steps: Sequence[Step], current: str) -> list[StepLink]:
    """The steps of a study that is being set up."""
    return [
        StepLink(
            _(TITLES[step.name]),
            reverse("web:study-set-up-step", args=[study.pk, step.name]),
            step.detail,
            step.is_done,
            step.name == current,
            step.is_needed,
        )
        for step in steps
    ]


def steps_before_a_study() -> list[StepLink]:
    """The steps of a study that nobody has made yet."""
    return [StepLink(_(TITLES[name]), "", "", False, name == STEPS[0]) for name in STEPS]

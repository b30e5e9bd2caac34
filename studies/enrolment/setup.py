"""Setting a study up: what it has and what it lacks before sites take part, and asking the first ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Site, User
from fedstudy_core.errors import Invalid
from studies.dictionary.selectors import current_dictionary, draft_of
from studies.enrolment import states
from studies.enrolment.models import Enrolment
from studies.enrolment.services import invite_site
from studies.lifecycle.models import Study
from studies.lifecycle.services import move_study
from studies.lifecycle.states import STUDY

STEPS = ("words", "protocol", "dictionary", "sites")


@dataclass(frozen=True)
class Step:
    """A part of a study's set-up.

    Attributes:
        name: one of `STEPS`.
        is_needed: whether no site can be asked without it; the others are what sites expect to read.
        detail: what there is, or what is missing.
    """

    name: str
    is_done: bool
    is_needed: bool
    detail: str


def steps_of(study: Study) -> tuple[Step, ...]:
    """The steps of the study's set-up, in order, each with what it has or lacks."""
    return (_words(study), _protocol(study), _dictionary(study), _sites(study))


def _words(study: Study) -> Step:
    match bool(study.summary), bool(study.aims):
        case True, True:
            return Step("words", True, False, _("Title, summary and aims are written."))
        case True, False:
            return Step("words", False, False, _("Not written yet: aims."))
        case False, True:
            return Step("words", False, False, _("Not written yet: summary."))
        case _:
            return Step("words", False, False, _("Not written yet: summary and aims."))


def _protocol(study: Study) -> Step:
    protocol = study.protocol
    if protocol is None:
        return Step("protocol", False, False, _("No document yet; sites read it before they answer."))
    detail = _("Version {number}: {file}.").format(number=protocol.number, file=protocol.filename)
    return Step("protocol", True, False, detail)


def _dictionary(study: Study) -> Step:
    newest, draft = current_dictionary(study), draft_of(study)
    unpublished = _variables(len(draft.variables)) if draft else ""
    if newest is None:
        words = _("A draft of {draft} is not published.") if draft else _("Nothing is published.")
        return Step("dictionary", False, True, words.format(draft=unpublished))
    words = _("Version {number} of {variables}.")
    if draft:
        words = _("Version {number} of {variables}; a draft of {draft} is not published.")
    detail = words.format(number=newest.number, variables=_variables(len(newest.variables)), draft=unpublished)
    return Step("dictionary", True, True, detail)


def _variables(number: int) -> str:
    return ngettext("{number} variable", "{number} variables", number).format(number=number)


def _sites(study: Study) -> Step:
    asked = Enrolment.objects.filter(study=study, state__in=states.OPEN).count()
    words = ngettext("{number} site asked.", "{number} sites asked.", asked) if asked else _("No site is asked yet.")
    return Step("sites", asked > 0, True, words.format(number=asked))


@transaction.atomic
def invite_first_sites(
    *, study: Study, sites: Sequence[Site], level: str = states.DEFAULT_LEVEL, by: User
) -> list[Enrolment]:
    """Open recruitment, where the study is still a draft, and invite sites: all of them or none.

    Raises:
        Invalid: E_INVALID without a site; as `invite_site`.
        Forbidden, Conflict, Refusal: as `move_study` and `invite_site`.
    """
    if not sites:
        raise Invalid("E_INVALID", "Choose a site or more.")
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    if study.state == STUDY.initial:
        study = move_study(study=study, to="recruiting", by=by)
    return [invite_site(study=study, site=site, level=level, by=by) for site in sites]

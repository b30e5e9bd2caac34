"""Setting a study up: what it has and what it lacks before sites take part, and asking the first ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

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
    missing = [name for name in ("summary", "aims") if not getattr(study, name)]
    detail = f"Not written yet: {' and '.join(missing)}." if missing else "Title, summary and aims are written."
    return Step("words", not missing, False, detail)


def _protocol(study: Study) -> Step:
    protocol = study.protocol
    if protocol is None:
        return Step("protocol", False, False, "No document yet; sites read it before they answer.")
    return Step("protocol", True, False, f"Version {protocol.number}: {protocol.filename}.")


def _dictionary(study: Study) -> Step:
    newest, draft = current_dictionary(study), draft_of(study)
    unpublished = f"a draft of {_count(len(draft.variables), 'variable')} is not published" if draft else ""
    if newest is None:
        return Step("dictionary", False, True, f"{unpublished or 'nothing is published'}.".capitalize())
    detail = f"Version {newest.number} of {_count(len(newest.variables), 'variable')}"
    return Step("dictionary", True, True, f"{detail}; {unpublished}." if unpublished else f"{detail}.")


def _sites(study: Study) -> Step:
    asked = Enrolment.objects.filter(study=study, state__in=states.OPEN).count()
    return Step("sites", asked > 0, True, f"{_count(asked, 'site')} asked." if asked else "No site is asked yet.")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


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
    study = Study.objects.select_for_update().get(pk=study.pk)
    if study.state == STUDY.initial:
        study = move_study(study=study, to="recruiting", by=by)
    return [invite_site(study=study, site=site, level=level, by=by) for site in sites]

"""Writing a study's next data dictionary: variables are added, changed, moved and removed until it is published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.permissions import Permission
from audit.services import record
from fedstudy_core.dictionary import parse
from fedstudy_core.errors import Conflict, FieldProblem, Invalid, NotFound
from studies.dictionary.models import DictionaryDraft, DictionaryVersion
from studies.dictionary.selectors import current_dictionary, draft_of, newest_number
from studies.dictionary.services import publish_dictionary
from studies.lifecycle.models import Study
from studies.lifecycle.services import lock_for_change

Variables = list[dict[str, Any]]


def variables_to_edit(study: Study) -> tuple[Variables, DictionaryDraft | None]:
    """The draft's variables; where there is no draft, those of the newest version."""
    draft, newest = draft_of(study), current_dictionary(study)
    if draft is not None:
        return list(draft.variables), draft
    return (list(newest.variables) if newest else []), None


def save_draft(*, study: Study, variables: object, revision: int | None = None, by: User) -> DictionaryDraft:
    """Put these variables in the draft's place.

    Args:
        variables: plain JSON values, as `fedstudy_core.dictionary.parse` reads them; an empty list too.
        revision: that of the draft which they were made from (0 for none); None where that does not matter.

    Raises:
        Invalid: E_DICTIONARY with problems by field.
        Conflict: E_STATE when somebody changed the draft since that revision; as `lock_for_change`.
        Forbidden: as `lock_for_change`.
    """
    return _change(study, by, lambda _: variables, revision)


def save_variable(
    *, study: Study, variable: dict[str, Any], name: str = "", position: int | None = None, by: User
) -> DictionaryDraft:
    """Add a variable to the draft, or change the one of this name.

    Args:
        name: of the variable that changes; empty for a new one.
        position: where it is to stand, from 1; where it stood (new ones at the end) when None.

    Raises:
        Invalid: E_DICTIONARY with problems by the variable's fields.
        NotFound: E_NOT_FOUND when the draft has no variable of that name any more.
        Forbidden, Conflict: as `lock_for_change`.
    """

    def changed(variables: Variables) -> Variables:
        before = _place(variables, name) if name else len(variables)
        kept = [item for place, item in enumerate(variables) if place != before]
        place = before if position is None else max(position, 1) - 1
        return [*kept[:place], variable, *kept[place:]]

    try:
        return _change(study, by, changed)
    except Invalid as error:
        if not error.errors:
            raise
        raise Invalid(error.code, error.detail, errors=[_of_field(problem) for problem in error.errors]) from error


def _of_field(problem: FieldProblem) -> FieldProblem:
    """A problem of the draft's only new variable, by its own field."""
    _, _, field = problem.field.split(".")[:3] if problem.field.count(".") > 1 else ("", "", "name")
    return replace(problem, field=field)


def move_variable(*, study: Study, name: str, up: bool, by: User) -> DictionaryDraft:
    """Let a variable change places with its neighbour; at the end nothing changes. Raises: as `save_variable`."""

    def changed(variables: Variables) -> Variables:
        place = _place(variables, name)
        other = place - 1 if up else place + 1
        if 0 <= other < len(variables):
            variables[place], variables[other] = variables[other], variables[place]
        return variables

    return _change(study, by, changed)


def remove_variable(*, study: Study, name: str, by: User) -> DictionaryDraft:
    """Take a variable out of the draft. Raises: as `save_variable`."""

    def changed(variables: Variables) -> Variables:
        del variables[_place(variables, name)]
        return variables

    return _change(study, by, changed)


@transaction.atomic
def discard_draft(*, study: Study, by: User) -> None:
    """Forget the draft; published versions stay. Raises: Forbidden, Conflict as `lock_for_change`."""
    study = lock_for_change(study, Permission.DICTIONARY_PUBLISH, by)
    draft = draft_of(study)
    if draft is not None:
        record(action="dictionary:draft:discarded", actor=by, obj=draft, study=study.pk)
        draft.delete()


@transaction.atomic
def publish_draft(*, study: Study, revision: int, by: User) -> DictionaryVersion:
    """Publish the draft as a version; then there is no draft any more.

    Args:
        revision: that of the draft which its reader saw.

    Raises:
        Conflict: E_STATE where there is no draft, somebody changed it since that revision, or a version was published
            since it was begun, which it would undo; as `lock_for_change`.
        Invalid: E_DICTIONARY for a draft without variables.
        Forbidden: as `lock_for_change`.
    """
    study = lock_for_change(study, Permission.DICTIONARY_PUBLISH, by)
    draft = draft_of(study)
    if draft is None:
        raise Conflict("E_STATE", "There is no draft: nothing was changed since the newest version.")
    _check_revision(draft, revision, "publish")
    newest = newest_number(study)
    if draft.base != newest:
        words = f"Version {newest} was published after this draft was begun, which would undo it."
        raise Conflict("E_STATE", f"{words} Discard the draft, and begin again from the newest version.")
    version = publish_dictionary(study=study, variables=draft.variables, by=by)
    draft.delete()
    return version


@transaction.atomic
def _change(
    study: Study, by: User, changed: Callable[[Variables], object], revision: int | None = None
) -> DictionaryDraft:
    study = lock_for_change(study, Permission.DICTIONARY_PUBLISH, by)
    before, draft = variables_to_edit(study)
    if revision is not None:
        _check_revision(draft, revision, "change")
    after = _fitting(changed(list(before)))
    if draft is not None and after == draft.variables:
        return draft
    draft = draft or DictionaryDraft(study=study, revision=0, base=newest_number(study))
    draft.variables, draft.revision = after, draft.revision + 1
    draft.changed_by, draft.changed_at = by, timezone.now()
    draft.save()
    detail = {"revision": draft.revision, "variables": len(after), **_difference(before, after)}
    record(action="dictionary:draft:changed", actor=by, obj=draft, study=study.pk, detail=detail)
    return draft


def _check_revision(draft: DictionaryDraft | None, revision: int, verb: str) -> None:
    if revision != (draft.revision if draft else 0):
        raise Conflict("E_STATE", f"Somebody changed the draft meanwhile. Look at it again before you {verb} it.")


def _fitting(variables: object) -> Variables:
    if variables == []:
        return []
    found: Variables = parse(variables).model_dump(mode="json")["variables"]
    return found


def _difference(before: Variables, after: Variables) -> dict[str, int]:
    """How many variables were added, changed and removed."""
    old, new = ({item["name"]: item for item in items} for items in (before, after))
    return {
        "added": len(new.keys() - old.keys()),
        "changed": sum(new[name] != old[name] for name in new.keys() & old.keys()),
        "removed": len(old.keys() - new.keys()),
    }


def _place(variables: Variables, name: str) -> int:
    place = next((place for place, item in enumerate(variables) if item["name"] == name), None)
    if place is None:
        raise NotFound("E_NOT_FOUND", f"The draft has no variable “{name}”; somebody may have removed it.")
    return place

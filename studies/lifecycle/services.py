"""Making studies, changing their words and protocol, and moving them from state to state."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from accounts.duplicates import refuse_duplicates
from accounts.models import User
from accounts.permissions import Permission, check
from accounts.roles import Role
from accounts.services import grant_role
from audit.services import record
from fedstudy_core.canonical import digest
from fedstudy_core.codes import CODES
from fedstudy_core.errors import Conflict, FieldProblem, Invalid
from studies.lifecycle import states
from studies.lifecycle.documents import form_of, is_named_so
from studies.lifecycle.models import ProtocolVersion, Study
from studies.lifecycle.signals import study_moving

TITLE_LENGTH, SUMMARY_LENGTH, AIMS_LENGTH = 200, 5_000, 20_000
PROTOCOL_BYTES = 10 * 1024 * 1024  # what the portal and the proxy before it let in


@transaction.atomic
def create_study(*, title: str, summary: str = "", aims: str = "", by: User) -> Study:
    """Draft a study; whoever makes it becomes its principal investigator.

    Raises:
        Forbidden: E_FORBIDDEN for platform administrators.
        Invalid: E_INVALID with problems by field.
    """
    check(by, Permission.STUDY_CREATE)
    study = Study(title=title.strip(), summary=summary.strip(), aims=aims.strip(), created_by=by)
    _check_words(study)
    study.slug = _free_slug(study.title)
    with refuse_duplicates("Somebody made a study with this title just now; please try again."):
        study.save()
    record(action="lifecycle:study:created", actor=by, obj=study, study=study.pk)
    grant_role(user=by, role=Role.PI, obj=study, by=by)
    return study


@transaction.atomic
def edit_study(
    *, study: Study, title: str | None = None, summary: str | None = None, aims: str | None = None, by: User
) -> Study:
    """Change a study's words; None leaves them as they are.

    Raises:
        Forbidden: E_FORBIDDEN; after the draft only the principal investigator may change a study.
        Conflict: E_STATE for a closed study.
        Invalid: E_INVALID with problems by field.
    """
    study = lock_for_change(study, Permission.STUDY_EDIT, by)
    given = {"title": title, "summary": summary, "aims": aims}
    new = {name: value.strip() for name, value in given.items() if value is not None}
    changed = {name: value for name, value in new.items() if getattr(study, name) != value}
    if not changed:
        return study
    for name, value in changed.items():
        setattr(study, name, value)
    _check_words(study)
    study.save(update_fields=sorted(changed))
    record(
        action="lifecycle:study:edited",
        actor=by,
        obj=study,
        study=study.pk,
        detail={"fields": sorted(changed)},
    )
    return study


def lock_for_change(study: Study, permission: Permission, by: User) -> Study:
    """The study, locked, once it is clear that `by` may change its design now.

    Raises:
        NotFound, Forbidden: without the permission, or, after the draft, without that to amend.
        Conflict: E_STATE for a closed study.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    check(by, permission, study)
    if study.state != states.STUDY.initial:
        check(by, Permission.STUDY_AMEND, study)
    check_under_way(study, "and keeps its design as it is")
    return study


def check_under_way(study: Study, refusal: str) -> None:
    """Refuse what only a study that is not over takes; `refusal` ends the sentence. Raises Conflict: E_STATE."""
    if study.state not in states.EDITABLE:
        raise Conflict("E_STATE", f"This study is {study.state} {refusal}.")


def _check_words(study: Study) -> None:
    limits = (
        ("title", study.title, TITLE_LENGTH),
        ("summary", study.summary, SUMMARY_LENGTH),
        ("aims", study.aims, AIMS_LENGTH),
    )
    problems = [
        FieldProblem(name, "E_INVALID", f"At most {limit} characters.")
        for name, value, limit in limits
        if len(value) > limit
    ]
    if not study.title:
        problems.append(FieldProblem("title", "E_INVALID", "A study has a title."))
    if problems:
        raise Invalid("E_INVALID", "Some of the study's words do not fit.", errors=problems)


def _free_slug(title: str) -> str:
    base = slugify(title)[:70].strip("-") or "study"
    taken = set(Study.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    return next(
        slug for number in range(len(taken) + 1) if (slug := f"{base}-{number + 1}" if number else base) not in taken
    )


@transaction.atomic
def add_protocol(*, study: Study, filename: str, content: bytes, by: User) -> ProtocolVersion:
    """Store a new version of the protocol document; the same content as the newest one changes nothing.

    Raises:
        Forbidden, Conflict: as `lock_for_change`.
        Invalid: E_INVALID with problems by field; E_PROTOCOL for a file that is none of a document (`documents`).
    """
    study = lock_for_change(study, Permission.STUDY_EDIT, by)
    _check_document(filename, content)
    newest, sha256 = study.protocol, digest(content)
    if newest is not None and newest.sha256 == sha256:
        return newest
    protocol = ProtocolVersion.objects.create(
        study=study,
        number=newest.number + 1 if newest else 1,
        filename=filename,
        sha256=sha256,
        size=len(content),
        content=content,
        created_by=by,
    )
    detail = {"number": protocol.number, "sha256": sha256, "size": protocol.size}
    record(action="lifecycle:protocol:added", actor=by, obj=protocol, study=study.pk, detail=detail)
    return protocol


def _check_document(filename: str, content: bytes) -> None:
    problems = []
    if not 1 <= len(filename) <= 200 or not filename.isprintable() or set(filename) & set('/\\"'):
        problems.append(FieldProblem("file", "E_INVALID", "A file name has 1 to 200 characters and no folders."))
    if not 1 <= len(content) <= PROTOCOL_BYTES:
        limit = PROTOCOL_BYTES // 2**20
        problems.append(FieldProblem("file", "E_INVALID", f"A protocol is a file of at most {limit} MiB."))
    if problems:
        raise Invalid("E_INVALID", "The protocol cannot be stored.", errors=problems)
    form = form_of(content)
    if form is None or not is_named_so(filename, form):
        raise Invalid("E_PROTOCOL", errors=[FieldProblem("file", "E_PROTOCOL", CODES["E_PROTOCOL"])])


@transaction.atomic
def move_study(*, study: Study, to: str, by: User) -> Study:
    """Move a study to its next state.

    Raises:
        Forbidden: E_FORBIDDEN.
        Conflict: E_STATE, when the state does not follow or something is missing for it, such as a data dictionary
            before sites are recruited.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    check(by, Permission.STUDY_MOVE, study)
    old = states.STUDY.move(study, to)
    study_moving.send(sender=Study, study=study, old=old)
    study.state_since = timezone.now()
    study.save(update_fields=["state", "state_since"])
    record(action="lifecycle:study:moved", actor=by, obj=study, study=study.pk, detail={"old": old, "new": to})
    return study

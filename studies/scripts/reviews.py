"""Questions and comments on a version, in threads between a study's investigators and its sites."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts.models import Site, User
from accounts.permissions import Permission, can, check
from accounts.selectors import sites_with
from audit.services import record
from fedstudy_core.canonical import digest
from fedstudy_core.errors import Conflict, Forbidden, Invalid, NotFound
from studies.enrolment import states as enrolment_states
from studies.lifecycle.models import Study
from studies.scripts import states
from studies.scripts.models import ReviewComment, ReviewThread, ScriptVersion
from studies.scripts.signals import comment_written

LONGEST_TEXT = 4000
MOST_THREADS, MOST_COMMENTS = 500, 200
LARGEST_LINE = 1_000_000


def sites_speaking(user: User, study: Study) -> list[Site]:
    """The sites of the study for which a person reviews scripts: invited ones, and those that take part."""
    of_study = sites_with(user, Permission.SCRIPT_APPROVE).filter(
        enrolments__study=study, enrolments__state__in=enrolment_states.OPEN
    )
    return list(of_study.order_by("name"))


def may_discuss(user: User, study: Study) -> bool:
    """Whether a person may write on the study's scripts: its investigators, and the reviewers of its sites."""
    return can(user, Permission.SCRIPT_SUBMIT, study) or bool(sites_speaking(user, study))


@transaction.atomic
def open_thread(
    *,
    version: ScriptVersion,
    text: str,
    kind: str = "question",
    path: str = "",
    line: int | None = None,
    by: User,
) -> ReviewThread:
    """Ask, or remark on, something about a version, perhaps at a file and a line of it.

    Raises:
        Forbidden, NotFound: E_FORBIDDEN, E_NOT_FOUND for those who may not write here.
        Invalid: E_INVALID for a text that is empty or too long, a kind, a file or a line that there is not.
        Conflict: E_STATE in an archived study, or when there are too many threads.
    """
    rows = ScriptVersion.objects.select_for_update(of=("self",)).select_related("script__study").defer("bundle")
    version = rows.get(pk=version.pk)
    site, speaks_for = _speaker(version.script.study, by)
    text = _said(text)
    if kind not in states.THREAD_KINDS:
        raise Invalid("E_INVALID", f"A thread is one of {', '.join(states.THREAD_KINDS)}.")
    if path and path not in {item["path"] for item in version.files}:
        raise Invalid("E_INVALID", "The version has no such file.")
    if line is not None and not (path and 1 <= line <= LARGEST_LINE):
        raise Invalid("E_INVALID", "A line is a line of a file.")
    if version.threads.count() >= MOST_THREADS:
        raise Conflict("E_STATE", "This version has too many threads already.")
    thread = ReviewThread.objects.create(version=version, site=site, kind=kind, path=path, line=line, opened_by=by)
    _write(thread, text, speaks_for, by, opens=True)
    return thread


@transaction.atomic
def answer_thread(*, thread: ReviewThread, text: str, by: User) -> ReviewComment:
    """Write into a thread; one that was resolved is opened again.

    Raises:
        Forbidden, NotFound; Invalid: E_INVALID; Conflict: E_STATE.
    """
    thread = _locked(thread)
    _, speaks_for = _speaker(thread.version.script.study, by)
    text = _said(text)
    if thread.comments.count() >= MOST_COMMENTS:
        raise Conflict("E_STATE", "This thread is full; please open another one.")
    if thread.state == "resolved":
        _move(thread, "open", by)
    return _write(thread, text, speaks_for, by, opens=False)


@transaction.atomic
def resolve_thread(*, thread: ReviewThread, by: User) -> ReviewThread:
    """Say that a thread needs no more words. Raises Forbidden, NotFound; Conflict E_STATE when it was said before."""
    thread = _locked(thread)
    _speaker(thread.version.script.study, by)
    _move(thread, "resolved", by)
    return thread


@transaction.atomic
def reopen_thread(*, thread: ReviewThread, by: User) -> ReviewThread:
    """Take up a resolved thread again. Raises Forbidden, NotFound; Conflict E_STATE when it is open."""
    thread = _locked(thread)
    _speaker(thread.version.script.study, by)
    _move(thread, "open", by)
    return thread


def _locked(thread: ReviewThread) -> ReviewThread:
    rows = ReviewThread.objects.select_for_update(of=("self",)).select_related("version__script__study")
    return rows.defer("version__bundle").get(pk=thread.pk)


def _speaker(study: Study, by: User) -> tuple[Site | None, str]:
    """For whom a person writes: a site, or the study. Raises Forbidden, NotFound; Conflict in an archived study."""
    sites = sites_speaking(by, study)
    if not sites and not can(by, Permission.SCRIPT_READ, study):
        raise NotFound("E_NOT_FOUND")
    if not sites and not can(by, Permission.SCRIPT_SUBMIT, study):
        raise Forbidden("E_FORBIDDEN", "Investigators and the reviewers of invited sites write here.")
    if study.state == "archived":
        raise Conflict("E_STATE", "This study is archived.")
    if sites:
        return sites[0], " and ".join(site.name for site in sites)[:200]
    check(by, Permission.SCRIPT_SUBMIT, study)
    return None, "the investigators"


def _said(text: str) -> str:
    text = text.replace("\r\n", "\n").strip()
    if not 1 <= len(text) <= LONGEST_TEXT:
        raise Invalid("E_INVALID", f"A text has 1 to {LONGEST_TEXT} characters.")
    if "\0" in text:
        raise Invalid("E_INVALID", "The text holds a character that cannot be kept.")
    return text


def _write(thread: ReviewThread, text: str, speaks_for: str, by: User, *, opens: bool) -> ReviewComment:
    comment = ReviewComment.objects.create(thread=thread, author=by, speaks_for=speaks_for, text=text)
    detail: dict[str, object] = {"sha256": fingerprint(comment), "thread": str(thread.pk), "kind": thread.kind}
    _record("opened" if opens else "answered", thread, by, detail)
    comment_written.send(sender=ReviewComment, comment=comment, opens=opens, by=by)
    return comment


def fingerprint(comment: ReviewComment) -> str:
    """What the audit log keeps of a text: SHA-256 of the comment's id, as salt that goes with it, and the text."""
    return digest(comment.pk.bytes + comment.text.encode("utf-8"))


def _move(thread: ReviewThread, new: str, by: User) -> None:
    states.THREAD.move(thread, new)
    resolved = new == "resolved"
    thread.resolved_at, thread.resolved_by = (timezone.now(), by) if resolved else (None, None)
    thread.save(update_fields=["state", "resolved_at", "resolved_by"])
    _record("resolved" if resolved else "reopened", thread, by, {"thread": str(thread.pk)})


def _record(verb: str, thread: ReviewThread, by: User, detail: dict[str, object]) -> None:
    where = f"{thread.path}:{thread.line}" if thread.line else thread.path
    record(
        action=f"scripts:thread:{verb}",
        actor=by,
        obj=thread.version,
        study=thread.version.script.study_id,
        site=thread.site_id,
        detail={**detail, "where": where},
    )

"""Reviewing a version: what it changes, threads about it, and the checklists of a site's reviewers."""

import difflib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.response import Response

from fedstudy_core.analysis import Category, Finding, Risk
from fedstudy_core.analysis.amendment import Snapshot, compare
from fedstudy_core.errors import NotFound
from portal.api.base import Input, Output, PersonRequest, Resource, describe, find
from portal.api.choices import FILE_CHANGES, FINDING_RISKS, RISK_WORDS
from portal.api.names import NameOut
from studies.enrolment.selectors import sites_of
from studies.scripts import checklist, reviews, selectors, states
from studies.scripts.models import ReviewThread, ScriptVersion

LONGEST_DIFF = 200_000


class FindingOut(Output):
    """One place that a reviewer should look at."""

    path = serializers.CharField()
    line = serializers.IntegerField()
    category = serializers.ChoiceField(choices=[category.value for category in Category])
    risk = serializers.ChoiceField(choices=FINDING_RISKS)
    rule = serializers.CharField()
    detail = serializers.CharField()


class FileChangeOut(Output):
    """A file that differs, with a unified diff where it is text."""

    path = serializers.CharField()
    kind = serializers.ChoiceField(choices=FILE_CHANGES)
    plus = serializers.IntegerField(help_text="Lines that came")
    minus = serializers.IntegerField(help_text="Lines that went")
    runs = serializers.BooleanField(help_text="Whether what a site runs or reads is not the same")
    diff = serializers.CharField(help_text="Unified; empty for files that are not text, or too long")


class ChangesOut(Output):
    """What a version changes against another one of its script."""

    against = serializers.UUIDField()
    risk = serializers.ChoiceField(choices=RISK_WORDS)
    reasons = serializers.ListField(child=serializers.CharField())
    files = FileChangeOut(many=True)
    parameters = serializers.ListField(child=serializers.CharField())
    outputs = serializers.ListField(child=serializers.CharField())
    dependencies = serializers.ListField(child=serializers.CharField())
    new_findings = FindingOut(many=True)


class Against(Input):
    """With which version to compare; the one before it where nothing is said."""

    against = serializers.UUIDField(required=False)


class CommentOut(Output):
    """A text in a thread."""

    id = serializers.UUIDField()
    author = NameOut()
    speaks_for = serializers.CharField()
    text = serializers.CharField()
    written_at = serializers.DateTimeField()


class ThreadOut(Output):
    """A question or comment on a version, with what was answered."""

    id = serializers.UUIDField()
    version = serializers.UUIDField(source="version_id")
    site = NameOut(allow_null=True)
    kind = serializers.ChoiceField(choices=states.THREAD_KINDS)
    path = serializers.CharField()
    line = serializers.IntegerField(allow_null=True)
    state = serializers.ChoiceField(choices=states.THREAD.states)
    opened_by = NameOut()
    opened_at = serializers.DateTimeField()
    resolved_by = NameOut(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    comments = CommentOut(many=True)


class NewThread(Input):
    """A question or comment, perhaps at a line of a file."""

    kind = serializers.ChoiceField(choices=states.THREAD_KINDS, default="question")
    text = serializers.CharField(max_length=reviews.LONGEST_TEXT)
    path = serializers.CharField(max_length=400, required=False, allow_blank=True, trim_whitespace=False)
    line = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=reviews.LARGEST_LINE)


class NewComment(Input):
    """A further text in a thread."""

    text = serializers.CharField(max_length=reviews.LONGEST_TEXT)


class TickOut(Output):
    """An item that a reviewer ticked."""

    site = NameOut()
    reviewer = NameOut()
    item = serializers.CharField()
    edition = serializers.IntegerField()
    ticked_at = serializers.DateTimeField()


class ItemOut(Output):
    """An item of the checklist."""

    key = serializers.CharField()
    question = serializers.CharField()
    hint = serializers.CharField()


class ChecklistOut(Output):
    """The list as it is now, and what the reviewers of the reader's sites ticked."""

    edition = serializers.IntegerField()
    items = ItemOut(many=True)
    ticks = TickOut(many=True)


class Ticks(Input):
    """All items that the reviewer has ticked for a site; the others are taken away."""

    site = serializers.UUIDField()
    items = serializers.ListField(child=serializers.CharField(max_length=40), max_length=100)


class VersionReviews(Resource):
    """The review of one version."""

    selector = staticmethod(selectors.versions_visible_to)
    output = ThreadOut
    ordering = ("opened_at", "id")

    def rows(self) -> QuerySet[ScriptVersion]:
        return super().rows().defer("bundle")

    @describe("Compare with another version", output=ChangesOut, parameters=[Against])
    def changes(self, request: PersonRequest, id: UUID) -> Response:
        version = self.row(id)
        others = self.rows().filter(script=version.script_id).exclude(pk=version.pk)
        asked = self.query(Against).get("against")
        before = others.filter(number__lt=version.number).order_by("-number").first()
        base = find(others, asked) if asked else before
        if base is None:
            raise NotFound("E_NOT_FOUND", "No version came before this one.")
        return self.answer(changes_between(base, version), ChangesOut)

    @describe("List the threads", output=ThreadOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        version = self.row(id)
        return self.page(selectors.threads_visible_to(request.user).filter(version=version))

    @describe("Open a thread", input=NewThread, output=ThreadOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        thread = reviews.open_thread(version=self.row(id), **self.read(NewThread), by=request.user)
        return self.answer(thread, status=201)

    @describe("Show the checklist", output=ChecklistOut)
    def checklist(self, request: PersonRequest, id: UUID) -> Response:
        return self._checklist(request, self.row(id))

    @describe("Keep what was ticked", input=Ticks, output=ChecklistOut)
    def tick(self, request: PersonRequest, id: UUID) -> Response:
        version, given = self.row(id), self.read(Ticks)
        site = find(sites_of(version.script.study), given["site"])
        checklist.save_ticks(version=version, site=site, items=given["items"], by=request.user)
        return self._checklist(request, version)

    def _checklist(self, request: PersonRequest, version: ScriptVersion) -> Response:
        ticks = selectors.ticks_visible_to(request.user).filter(version=version)
        value = {"edition": checklist.EDITION, "items": checklist.ITEMS, "ticks": ticks}
        return self.answer(value, ChecklistOut)


class Threads(Resource):
    """Threads that the user may read."""

    selector = staticmethod(selectors.threads_visible_to)
    output = ThreadOut

    def again(self, thread: ReviewThread) -> Response:
        """The thread as it is now."""
        return self.answer(self.row(thread.pk))

    @describe("Show a thread", output=ThreadOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(self.row(id))

    @describe("Write into a thread", input=NewComment, output=CommentOut, status=201)
    def comment(self, request: PersonRequest, id: UUID) -> Response:
        thread = self.row(id)
        comment = reviews.answer_thread(thread=thread, text=self.read(NewComment)["text"], by=request.user)
        return self.answer(comment, CommentOut, status=201)

    @describe("Resolve a thread", output=ThreadOut)
    def resolve(self, request: PersonRequest, id: UUID) -> Response:
        return self.again(reviews.resolve_thread(thread=self.row(id), by=request.user))

    @describe("Take up a thread again", output=ThreadOut)
    def reopen(self, request: PersonRequest, id: UUID) -> Response:
        return self.again(reviews.reopen_thread(thread=self.row(id), by=request.user))


def changes_between(base: ScriptVersion, version: ScriptVersion) -> dict[str, Any]:
    """What `ChangesOut` shows."""
    old, new = (Snapshot.of(bytes(item.bundle), _findings(item)) for item in (base, version))
    amendment = asdict(compare(old, new))
    for file in amendment["files"]:
        file["diff"] = _diff(file["path"], old.contents, new.contents)
    return {**amendment, "against": base.pk}


def _findings(version: ScriptVersion) -> list[Finding]:
    return [
        Finding(**{**item, "category": Category(item["category"]), "risk": Risk(item["risk"])})
        for item in version.findings
    ]


def _diff(path: str, old: Mapping[str, bytes], new: Mapping[str, bytes]) -> str:
    before, after = old.get(path, b""), new.get(path, b"")
    if len(before) + len(after) > LONGEST_DIFF:
        return ""
    try:
        texts = before.decode("utf-8").splitlines(), after.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return ""
    return "\n".join(difflib.unified_diff(*texts, path, path, lineterm=""))

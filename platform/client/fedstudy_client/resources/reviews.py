"""Reviews of script versions: what changed, threads, and the checklist."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from fedstudy_client.records_review import Changes, Checklist, Comment, Thread
from fedstudy_client.resources.base import Ref, Resource, id_of


class Reviews(Resource):
    """Reviews of versions, which go before a site signs."""

    def changes(self, version: Ref, *, against: Ref | None = None) -> Changes:
        """What a version changes against another one of its script; against the one before when None."""
        other = None if against is None else id_of(against)
        return Changes.read(self._http.get(f"script-versions/{id_of(version)}/changes", against=other))

    def list(self, version: Ref) -> list[Thread]:
        """The threads on a version, oldest first."""
        return [Thread.read(row) for row in self._http.each(f"script-versions/{id_of(version)}/threads")]

    def get(self, thread: Ref) -> Thread:
        """One thread with what was answered."""
        return Thread.read(self._http.get(f"review-threads/{id_of(thread)}"))

    def open(
        self, version: Ref, text: str, *, kind: str = "question", path: str = "", line: int | None = None
    ) -> Thread:
        """Ask or remark something, perhaps at a line of a file; the kind is "question" or "comment"."""
        body = {"kind": kind, "text": text, "path": path, "line": line}
        return Thread.read(self._http.post(f"script-versions/{id_of(version)}/threads", body))

    def answer(self, thread: Ref, text: str) -> Comment:
        """Write into a thread."""
        return Comment.read(self._http.post(f"review-threads/{id_of(thread)}/comments", {"text": text}))

    def resolve(self, thread: Ref) -> Thread:
        """Say that a thread is settled."""
        return Thread.read(self._http.post(f"review-threads/{id_of(thread)}/resolve"))

    def reopen(self, thread: Ref) -> Thread:
        """Take up a thread again."""
        return Thread.read(self._http.post(f"review-threads/{id_of(thread)}/reopen"))

    def checklist(self, version: Ref) -> Checklist:
        """What reviewers look at, and what those of one's sites ticked."""
        return Checklist.read(self._http.get(f"script-versions/{id_of(version)}/checklist"))

    def tick(self, version: Ref, site: Ref, items: Sequence[str]) -> Checklist:
        """Say which items one has looked at for a site; others that were ticked before are taken away."""
        body = {"site": id_of(site), "items": builtins.list(items)}
        return Checklist.read(self._http.put(f"script-versions/{id_of(version)}/checklist", body))

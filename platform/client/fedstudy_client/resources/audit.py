"""The audit log."""

from __future__ import annotations

from collections.abc import Iterator

from fedstudy_client.records import Event
from fedstudy_client.resources.base import Ref, Resource, id_of


class Audit(Resource):
    """Events that one may see, newest first."""

    def events(
        self,
        *,
        study: Ref | None = None,
        site: Ref | None = None,
        object: Ref | None = None,
        action: str | None = None,
    ) -> Iterator[Event]:
        """Events, page by page, narrowed to a study, a site, an object or an action."""
        query = {
            "study": None if study is None else id_of(study),
            "site": None if site is None else id_of(site),
            "object": None if object is None else id_of(object),
            "action": action,
        }
        for row in self._http.each("audit/events", **query):
            yield Event.read(row)

"""The audit log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fedstudy_client.records import Event
from fedstudy_client.records_log import Checkpoint, Proof, Witness, Witnesses
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

    def checkpoint(self) -> Checkpoint:
        """The log's newest checkpoint."""
        return Checkpoint.read(self._http.get("audit/log"))

    def witnesses(self) -> Witnesses:
        """How far nodes have cosigned the log, and what they refused."""
        told = self._http.get("audit/witnesses")
        return replace(Witnesses.read(told), witnesses=[Witness.read(row) for row in told["witnesses"]])

    def consistency(self, old: int, new: int) -> list[str]:
        """The proof that the log only grew between two sizes: hashes in base64, as RFC 9162 orders them."""
        hashes: list[str] = self._http.get("audit/log/consistency", old=old, new=new)["hashes"]
        return hashes

    def proof(self, event: Ref) -> Proof:
        """The proof that an event is in the log. It fails with E_LOG_BEHIND for a moment after the event."""
        return Proof.read(self._http.get(f"audit/events/{id_of(event)}/proof"))

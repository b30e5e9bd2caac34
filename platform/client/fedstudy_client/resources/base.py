"""What every part of the client stands on."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from fedstudy_client.transport import Transport


class HasId(Protocol):
    """Any record with an id."""

    @property
    def id(self) -> str:
        """The id, a UUID."""


Ref = str | UUID | HasId


def id_of(ref: Ref) -> str:
    """The id of a record, or the id itself."""
    return str(ref) if isinstance(ref, str | UUID) else ref.id


class Resource:
    """A part of the portal, reached by one transport."""

    def __init__(self, transport: Transport) -> None:
        self._http = transport

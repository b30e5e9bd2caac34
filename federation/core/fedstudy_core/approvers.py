"""Who may sign for a site: a person's key on the node's console, or their passkey, pinned with a name and a role."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fedstudy_core.canonical import digest, is_plain_text
from fedstudy_core.dsse import VerifyingKey
from fedstudy_core.errors import Invalid
from fedstudy_core.keys import key_id, public_from_text
from fedstudy_core.passkeys import Passkey, read_public_key

Role = Literal["site admin", "data steward"]
ROLES: tuple[Role, ...] = ("site admin", "data steward")
Name = Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True)
class Approver:
    """A person whose signature counts. `role` is "standing policy" for a node that acts under one."""

    id: str
    name: str
    role: str
    key: VerifyingKey


class ApproverKey(BaseModel):
    """An approver as the node pins them and tells the portal of them.

    Attributes:
        key: the public key in base64: an Ed25519 key's 32 bytes on the console, the SubjectPublicKeyInfo of a passkey.
        rp_id, origin: of a passkey: the node's own host and page; no other page can use it.
        credential: of a passkey: what the browser calls it (base64url).
        synced: of a passkey: whether it may be copied between its owner's devices; it never changes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["console", "passkey"]
    name: Name
    role: Role
    key: Annotated[str, Field(max_length=2000)]
    rp_id: Annotated[str, Field(max_length=253)] = ""
    origin: Annotated[str, Field(max_length=300)] = ""
    credential: Annotated[str, Field(max_length=1400)] = ""
    synced: bool = False
    added_at: str = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not is_plain_text(self.name) or self.name != self.name.strip():
            raise ValueError("a name holds no control characters and no blanks around it")
        if (self.kind == "passkey") != all((self.rp_id, self.origin, self.credential)):
            raise ValueError("a passkey has a host, an origin and a credential; a console key has none")
        return self

    @property
    def id(self) -> str:
        """SHA-256 of the public key, in hexadecimal. Raises Invalid E_KEY."""
        if self.kind == "console":
            return key_id(public_from_text(self.key))
        return digest(_bytes(self.key))

    def approver(self) -> Approver:
        """The person with a key that verifies. Raises Invalid E_KEY."""
        key: VerifyingKey
        if self.kind == "console":
            key = public_from_text(self.key)
        else:
            key = Passkey(read_public_key(_bytes(self.key)), self.rp_id, self.origin, self.synced)
        return Approver(self.id, self.name, self.role, key)


def by_id(pinned: Sequence[ApproverKey]) -> Mapping[str, Approver]:
    """The approvers by their keys' ids."""
    return {approver.id: approver for approver in (entry.approver() for entry in pinned)}


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid("E_KEY") from error

"""Signed checkpoints and the cosignatures of witnesses, as C2SP writes them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LOG, WITNESS = 1, 4
_HASH = 32
_SIZE = re.compile("0|[1-9][0-9]{0,15}")


class Unreadable(Exception):
    """Something that should be a key or a note and is none."""


@dataclass(frozen=True)
class Key:
    """A log's or a witness's public key, `name+id+key`."""

    name: str
    kind: int
    public: bytes
    text: str

    @classmethod
    def read(cls, text: str) -> Key:
        """Raises Unreadable."""
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        data = _decoded(encoded)
        if len(data) != 1 + _HASH or data[0] not in (LOG, WITNESS) or not name or " " in name:
            raise Unreadable(f"{text[:80]!r} is no key of a log or witness")
        found = cls(name, data[0], data[1:], text)
        if found.id.hex() != key_id:
            raise Unreadable(f"the key of {name} does not fit its number")
        return found

    @property
    def id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def signed(self, text: str, signature: bytes) -> bool:
        """Whether this key made the signature of the text."""
        message = text.encode()
        if self.kind == WITNESS:
            message = b"cosignature/v1\ntime %d\n" % int.from_bytes(signature[:8], "big") + message
            signature = signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint and whose signatures it has, none of them checked yet."""

    text: str
    origin: str
    size: int
    root: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]

    @classmethod
    def read(cls, note: str) -> Checkpoint:
        """Raises Unreadable."""
        text, gap, under = note.rpartition("\n\n")
        lines = text.split("\n")
        if not gap or len(lines) != 3 or not under.endswith("\n") or not _SIZE.fullmatch(lines[1]):
            raise Unreadable("this is no signed checkpoint")
        root = _decoded(lines[2])
        if len(root) != _HASH:
            raise Unreadable("this is no signed checkpoint")
        signatures = tuple(_signature(line) for line in under[:-1].split("\n"))
        return cls(text + "\n", lines[0], int(lines[1]), root, signatures)

    def signers(self, keys: Iterable[Key]) -> set[str]:
        """Names of the keys that signed.

        Raises:
            Unreadable: a signature in the name of one of them does not hold.
        """
        found = set()
        for key in keys:
            for name, key_id, signature in self.signatures:
                if (name, key_id) != (key.name, key.id):
                    continue
                if not key.signed(self.text, signature):
                    raise Unreadable(f"the signature of {name} does not hold")
                found.add(name)
        return found


def _signature(line: str) -> tuple[str, bytes, bytes]:
    dash, name, encoded = [*line.split(" "), "", ""][:3]
    data = _decoded(encoded)
    if dash != "—" or not name or len(data) <= 4 or line.count(" ") != 2:
        raise Unreadable("a line of signatures is none")
    return name, data[:4], data[4:]


def _decoded(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unreadable("this is not base64") from error
    if base64.b64encode(data).decode() != text:
        raise Unreadable("this is not how base64 is written")
    return data

"""Signed notes and cosignatures, as C2SP writes them: signed-note, tlog-checkpoint and tlog-cosignature v1 (Ed25519).

A note is some lines of text, an empty line, and lines of signatures. Signatures of unknown keys are passed over, so
that a log can change its key and be cosigned; one of a known key that does not hold spoils the note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fedstudy_core.canonical import is_plain_text
from fedstudy_core.errors import Refusal

LOG, WITNESS = 0x01, 0x04  # how the key of a log signs, and how that of a witness
MAX_BYTES = 1 << 20
MAX_SIGNATURES = 200
_DASH = "— "
_KEY_BYTES, _ID_BYTES, _TIME_BYTES, _SIGNATURE_BYTES = 32, 4, 8, 64


@dataclass(frozen=True)
class NoteKey:
    """A key by which notes are verified.

    Attributes:
        name: of the log (its origin) or of the witness.
        kind: LOG or WITNESS.
        public: the Ed25519 key's 32 bytes.
    """

    name: str
    kind: int
    public: bytes

    def __post_init__(self) -> None:
        if not _is_name(self.name) or self.kind not in (LOG, WITNESS) or len(self.public) != _KEY_BYTES:
            raise Refusal("E_NOTE_KEY")

    @classmethod
    def of(cls, name: str, kind: int, key: Ed25519PublicKey) -> NoteKey:
        raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return cls(name, kind, raw)

    @classmethod
    def parse(cls, text: str) -> NoteKey:
        """Read `name+id+key` (a "vkey"). Raises Refusal E_NOTE_KEY."""
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            data = _decode(encoded)
            key = cls(name, data[0], data[1:])
            Ed25519PublicKey.from_public_bytes(key.public)
        except (ValueError, IndexError) as error:
            raise Refusal("E_NOTE_KEY") from error
        if key_id != key.key_id.hex():
            raise Refusal("E_NOTE_KEY")
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_encode(bytes([self.kind]) + self.public)}"

    @property
    def key_id(self) -> bytes:
        """Four bytes that say, with the name, whose signature a line is."""
        named = self.name.encode("utf-8") + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(named).digest()[:_ID_BYTES]

    def holds(self, text: str, signature: Signature) -> bool:
        """Whether this key made the signature of the text."""
        signed, made = text.encode("utf-8"), signature.made
        if self.kind == WITNESS:
            if len(made) != _TIME_BYTES + _SIGNATURE_BYTES:
                return False
            signed, made = _cosigned(text, signature.time), made[_TIME_BYTES:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(made, signed)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Signature:
    """A line under a note: whose, by the key's name and id, and the bytes."""

    name: str
    key_id: bytes
    made: bytes

    @property
    def time(self) -> int:
        """When a witness made it, in seconds since 1970."""
        return int.from_bytes(self.made[:_TIME_BYTES], "big")

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {_encode(self.key_id + self.made)}\n"


@dataclass(frozen=True)
class Note:
    """A text of lines, the last one ended too, and its signatures."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """Raises Refusal E_NOTE."""
        if len(data) > MAX_BYTES:
            raise Refusal("E_NOTE")
        try:
            whole = data.decode("utf-8")
            text, separator, under = whole.rpartition("\n\n")
            if not (text and separator and under.endswith("\n") and is_plain_text(whole) and "\t" not in whole):
                raise ValueError("not a note")
            lines = under[:-1].split("\n")
            if len(lines) > MAX_SIGNATURES:
                raise ValueError("too many signatures")
            return cls(text + "\n", tuple(_signature(line) for line in lines))
        except ValueError as error:
            raise Refusal("E_NOTE") from error

    def __str__(self) -> str:
        return self.text + "\n" + "".join(str(signature) for signature in self.signatures)

    def signed_by(self, keys: Iterable[NoteKey]) -> dict[NoteKey, Signature]:
        """Which of the keys signed, with their signatures.

        Raises:
            Refusal: E_NOTE_SIGNATURE, a signature in the name of one of them does not hold.
        """
        known = {(key.name, key.key_id): key for key in keys}
        found: dict[NoteKey, Signature] = {}
        for signature in self.signatures:
            key = known.get((signature.name, signature.key_id))
            if key is None or key in found:
                continue
            if not key.holds(self.text, signature):
                raise Refusal("E_NOTE_SIGNATURE", f"The signature of {signature.name} does not hold.")
            found[key] = signature
        return found

    def with_signatures(self, *more: Signature) -> Note:
        return Note(self.text, (*self.signatures, *more))


def sign(text: str, name: str, key: Ed25519PrivateKey) -> Signature:
    """A log's signature of its own note."""
    public = NoteKey.of(name, LOG, key.public_key())
    return Signature(name, public.key_id, key.sign(text.encode("utf-8")))


def cosign(text: str, name: str, key: Ed25519PrivateKey, *, at: int) -> Signature:
    """A witness's signature: at this second (since 1970) this was the largest tree it had seen of this log."""
    public = NoteKey.of(name, WITNESS, key.public_key())
    return Signature(name, public.key_id, at.to_bytes(_TIME_BYTES, "big") + key.sign(_cosigned(text, at)))


def _cosigned(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    data = _decode(encoded)
    if not line.startswith(_DASH) or not _is_name(name) or len(data) <= _ID_BYTES:
        raise ValueError("not a signature")
    return Signature(name, data[:_ID_BYTES], data[_ID_BYTES:])


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(char.isspace() for char in name)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if _encode(data) != text:
        raise ValueError("not the one spelling")
    return data

"""Sealing rows for the pool node, and opening them there: files of age (age-encryption.org/v1, by rage).

age encrypts in chunks of 64 KiB, each authenticated with its number and the last one marked; so what was altered, cut
short, put in another order or doubled does not open. Each file has a key of its own, wrapped for each recipient.
"""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import pyrage
from pyrage import x25519

from fedstudy_core.errors import Refusal

MOST_PLAIN = 512 * 1024**2
_NOT_OPEN = "The pooled object cannot be opened: it was altered, cut short, or sealed for somebody else."


@dataclass(frozen=True)
class Key:
    """An X25519 identity of age; `secret` never leaves where it was made."""

    secret: str
    recipient: str


@dataclass(frozen=True)
class Sealed:
    """What a sealed object is named by: SHA-256 and size of the ciphertext."""

    sha256: str
    size: int


def make_key() -> Key:
    """Return a new key."""
    identity = x25519.Identity.generate()
    return Key(str(identity), str(identity.to_public()))


def recipient_of(secret: str) -> str:
    """Return the public part of a secret key. Raises Refusal (E_KEY)."""
    try:
        return str(x25519.Identity.from_str(secret).to_public())
    except pyrage.IdentityError as error:
        raise Refusal("E_KEY", "This is not a secret key of age.") from error


def seal(plain: bytes, into: BinaryIO, recipients: Sequence[str]) -> Sealed:
    """Write the ciphertext as it is made.

    Raises:
        Refusal: E_TOO_LARGE for more than `MOST_PLAIN`, E_KEY for what is no recipient.
        OSError: there is no room.
    """
    if len(plain) > MOST_PLAIN:
        raise Refusal("E_TOO_LARGE", f"At most {MOST_PLAIN // 1024**2} MiB of rows are pooled at once.")
    try:
        keys = [x25519.Recipient.from_str(recipient) for recipient in recipients]
    except pyrage.RecipientError as error:
        raise Refusal("E_KEY", "This is not a public key of age.") from error
    writing = _Writing(into)
    try:
        pyrage.encrypt_io(io.BytesIO(plain), writing, keys)
    except pyrage.EncryptError:
        writing.settle()
        raise
    writing.settle()
    return Sealed(writing.digest.hexdigest(), writing.size)


def open_sealed(sealed: io.BufferedIOBase, secret: str) -> bytes:
    """Return what was sealed; nothing of it unless all of it holds.

    Raises:
        Refusal: E_SEALED for what was altered or sealed for others, E_TOO_LARGE, E_KEY.
    """
    recipient_of(secret)
    room = _Room()
    try:
        pyrage.decrypt_io(sealed, room, [x25519.Identity.from_str(secret)])
    except (pyrage.DecryptError, OSError) as error:
        if room.is_full:
            raise Refusal("E_TOO_LARGE", "The pooled object is larger than any that is taken.") from error
        raise Refusal("E_SEALED", _NOT_OPEN) from error
    if room.is_full:  # the last bytes are written when nobody can be told
        raise Refusal("E_TOO_LARGE", "The pooled object is larger than any that is taken.")
    return room.getvalue()


class _Writing(io.BufferedIOBase):
    """A file that is hashed while it is written. What goes wrong is kept: the library cannot tell of its last bytes."""

    def __init__(self, into: BinaryIO) -> None:
        self._into = into
        self._failed: OSError | None = None
        self.digest = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        """Write bytes. Raises OSError."""
        try:
            self._into.write(data)
        except OSError as error:
            self._failed = error
            raise
        self.digest.update(data)
        self.size += len(data)
        return len(data)

    def settle(self) -> None:
        """Raises OSError where a write failed."""
        if self._failed is not None:
            raise self._failed


class _Room(io.BytesIO):
    """Memory for so much and no more."""

    is_full = False

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        """Add bytes. Raises OSError when there is no more room."""
        if self.is_full or self.tell() + len(data) > MOST_PLAIN:
            self.is_full = True
            raise OSError("the pooled object is too large")
        return super().write(data)

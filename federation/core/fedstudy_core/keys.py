"""Ed25519 keys of nodes and approvers, and the words by which two people compare them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from mnemonic import Mnemonic

from fedstudy_core.canonical import digest, dumps
from fedstudy_core.errors import Invalid, Refusal

WORDS = 6
_WORDS_DOMAIN = b"fedstudy-words-v1\n"
_SALT_LINE = b"FedStudy-Salt: "
_SALT_BYTES = 16


def generate() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def to_pem(key: Ed25519PrivateKey, passphrase: bytes | None) -> bytes:
    """PKCS #8, encrypted when there is a passphrase.

    PKCS #8 alone lets a thief of the file try a passphrase in 2048 hashes. So its passphrase is the stretched one
    (scrypt, 32 MiB a try), and the salt stands in a line above, which readers of PEM skip.
    """
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    above = b""
    if passphrase:
        salt = secrets.token_bytes(_SALT_BYTES)
        encryption = serialization.BestAvailableEncryption(_stretch(passphrase, salt))
        above = _SALT_LINE + salt.hex().encode("ascii") + b"\n"
    return above + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _stretch(passphrase: bytes, salt: bytes) -> bytes:
    stretched = hashlib.scrypt(passphrase, salt=salt, n=2**15, r=8, p=1, maxmem=64 * 1024 * 1024, dklen=32)
    return stretched.hex().encode("ascii")


def _salt(data: bytes) -> bytes:
    line = data.partition(b"\n")[0].strip()
    if not line.startswith(_SALT_LINE):
        return b""
    try:
        return bytes.fromhex(line.removeprefix(_SALT_LINE).decode("ascii"))
    except ValueError as error:
        raise Refusal("E_KEY") from error


def from_pem(data: bytes, passphrase: bytes | None) -> Ed25519PrivateKey:
    """The key of a PEM file.

    Raises:
        Refusal: E_PASSPHRASE when the passphrase is wrong or missing; E_KEY when it is no Ed25519 key.
    """
    salt = _salt(data)
    if salt and passphrase:
        passphrase = _stretch(passphrase, salt)
    try:
        key = serialization.load_pem_private_key(data, passphrase or None)
    except TypeError as error:
        raise Refusal("E_PASSPHRASE", "The key needs a passphrase, or has none.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        code = "E_PASSPHRASE" if b"ENCRYPTED" in data else "E_KEY"
        raise Refusal(code) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Refusal("E_KEY", "The key is not an Ed25519 key.")
    return key


def public_text(key: Ed25519PublicKey) -> str:
    """The key's 32 bytes in base64."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode("ascii")


def public_from_text(text: str) -> Ed25519PublicKey:
    """Raises Invalid E_KEY."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error) as error:
        raise Invalid("E_KEY", "This is not an Ed25519 public key.") from error
    if public_text(key) != text:  # one key, one text: two nodes cannot be given the same one
        raise Invalid("E_KEY", "This is not how an Ed25519 public key is written.")
    return key


def key_id(key: Ed25519PublicKey) -> str:
    """SHA-256 of the key's 32 bytes, in hexadecimal."""
    return digest(base64.b64decode(public_text(key)))


def six_words(*public_texts: str) -> str:
    """Six words that stand for the given keys (66 bits): people at both ends read them to each other."""
    fingerprint = digest(_WORDS_DOMAIN + dumps(list(public_texts)))
    words = Mnemonic("english").wordlist
    bits = int(fingerprint, 16)
    return " ".join(words[(bits >> (11 * position)) % len(words)] for position in range(WORDS))

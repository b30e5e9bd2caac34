"""What the database keeps and a copy of it must not show: sealed (AES-256-GCM) by keys of the portal's own secret."""

from __future__ import annotations

import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

NONCE = 12


def seal(content: bytes, *, purpose: bytes, bound: bytes) -> bytes:
    """The content as the database keeps it.

    Args:
        purpose: what it is for. Each purpose has a key of its own.
        bound: what it belongs to. It opens for nothing else.
    """
    nonce = os.urandom(NONCE)
    return nonce + _cipher(purpose).encrypt(nonce, content, bound)


def unseal(kept: bytes, *, purpose: bytes, bound: bytes) -> bytes:
    """The content.

    Raises:
        cryptography.exceptions.InvalidTag: it was sealed for another purpose or belongs to something else, was changed,
            or the portal's own secret is another one now.
    """
    return _cipher(purpose).decrypt(kept[:NONCE], kept[NONCE:], bound)


def _cipher(purpose: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), length=32, salt=None, info=purpose).derive(settings.SECRET_KEY.encode()))

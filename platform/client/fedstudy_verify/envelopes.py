"""Signed documents (Dead Simple Signing Envelope 1.0) and the lines of `envelopes.jsonl`, of which each has one."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

APPROVAL, REVOCATION, RECEIPT, CONSENT = "approval", "revocation", "receipt", "pool-consent"
_KINDS = {kind: f"application/vnd.fedstudy.{kind}.v1+json" for kind in (APPROVAL, REVOCATION, RECEIPT, CONSENT)}


class BadLine(Exception):
    """A line that does not hold; says why."""


class Unfit(Exception):
    """A document that is not what its event says; says why."""


@dataclass(frozen=True)
class Envelope:
    """A signed document, of which no signature is checked yet.

    Attributes:
        digest: SHA-256 of the envelope, in hexadecimal.
        signatures: by the ids of their keys.
    """

    kind: str
    digest: str
    payload: bytes
    signatures: Mapping[str, bytes]

    @property
    def identity(self) -> str:
        """SHA-256 of what was signed: by this a statement is named."""
        return sha256(self.payload).hexdigest()

    @property
    def signed(self) -> bytes:
        """What the signatures are over."""
        kind = _KINDS[self.kind].encode()
        return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(self.payload), self.payload)

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the document says. Raises Unfit."""
        try:
            value = json.loads(self.payload)
        except (ValueError, RecursionError) as error:
            raise Unfit("it is not JSON") from error
        if not isinstance(value, dict):
            raise Unfit("it is not an object")
        return value


class Envelopes:
    """The lines of the file, which events ask for in their order."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines: Iterator[bytes] = iter(lines)
        self._digest = sha256()
        self.line = 0

    def take(self, name: str, digest: str = "") -> Envelope | None:
        """The next document, which must be the one of this name; None where the portal did not have it.

        Args:
            digest: the envelope's, where it is known beside its name.

        Raises:
            BadLine: the line is another one, or not as it was written.
        """
        self.line += 1
        data = self._next()
        if not data:
            raise BadLine("it is not there")
        try:
            value = json.loads(data)
            written = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
            if written.encode() != data or set(value) != {"envelope", "name"}:
                raise BadLine("this is no line of documents")
        except (ValueError, TypeError, RecursionError) as error:
            raise BadLine("this is no line of documents") from error
        if value["name"] != name:
            raise BadLine(f"{name} should be here")
        if value["envelope"] is None:
            return None
        kind, _, wanted = name.partition(":")
        found = read_envelope(kind, value["envelope"])
        if wanted != (found.identity if kind == APPROVAL else found.digest) or digest not in ("", found.digest):
            raise BadLine(f"this is not {name}")
        return found

    def end(self) -> None:
        """Raises BadLine when there is a line that no event names."""
        self.line += 1
        if self._next():
            raise BadLine("no event that is shown names this")

    def digest(self) -> str:
        """The whole file's SHA-256."""
        while self._next():
            pass
        return self._digest.hexdigest()

    def _next(self) -> bytes:
        data = next(self._lines, b"")
        self._digest.update(data)
        return data


def read_envelope(kind: str, value: Any) -> Envelope:
    """A signed document of this kind. Raises BadLine."""
    try:
        if set(value) != {"payload", "payloadType", "signatures"} or value["payloadType"] != _KINDS[kind]:
            raise BadLine("this is no document of its kind")
        written = json.dumps(value, separators=(",", ":"), sort_keys=True).encode("ascii")
        pairs = [(str(item["keyid"]), _decoded(item["sig"])) for item in value["signatures"]]
        if len(dict(pairs)) != len(pairs) or any(set(item) != {"keyid", "sig"} for item in value["signatures"]):
            raise BadLine("its signatures are not written as they should be")
        return Envelope(kind, sha256(written).hexdigest(), _decoded(value["payload"]), dict(pairs))
    except (KeyError, TypeError, ValueError) as error:
        raise BadLine("this is no document of its kind") from error


def _decoded(text: Any) -> bytes:
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("not how base64 is written")
    return data

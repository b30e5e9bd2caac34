"""Writes that may be sent again: the header `Idempotency-Key`, after the IETF draft of that name.

A write and the record of its answer are one transaction. Whoever sends the same request with the same key again gets
that answer; meanwhile nothing is done twice. A write that was refused is no answer to keep: it is tried anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from django.http import QueryDict
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.sealing import seal, unseal
from fedstudy_core.errors import FedStudyError, Invalid, Refusal
from portal.api.formats import JSONRenderer
from portal.api.models import StoredAnswer

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
WRITES = ("POST", "PUT", "PATCH", "DELETE")
# A string of structured fields (RFC 9651), as the draft has it; its quotation marks may be left out.
PATTERN = re.compile(r'\A(?:"([ -!#-\[\]-~]{1,200})"|([!#-+\--:<-\[\]-~]{1,200}))\Z')
Handler = Callable[..., Response]


class Repeatable(APIView):
    """A view whose writes may carry a key. Only people's requests have one: nodes number theirs."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = str(request.method).lower()
        handler = getattr(self, method, None)
        if HEADER in request.headers and request.method in WRITES and handler and isinstance(request.user, User):
            setattr(self, method, partial(_once, handler))


def _once(handler: Handler, request: Request, *args: Any, **kwargs: Any) -> Response:
    """Do a write, or answer as it was answered before.

    Raises:
        Invalid: E_IDEMPOTENCY_KEY; E_IDEMPOTENCY_OTHER (422) where the key was another request's.
        Refusal: E_IDEMPOTENCY_BUSY while the same request is in work.
    """
    asked = _Asked.read(request)

    def act() -> Response:
        earlier = asked.earlier()
        if earlier is not None:
            return asked.replay(earlier)
        response = handler(request, *args, **kwargs)
        asked.keep(response)
        return response

    return in_one_transaction(act)


def in_one_transaction(act: Callable[[], Response]) -> Response:
    """Do something as one transaction; what a service wrote before it refused stays written, as it does by itself."""
    with transaction.atomic():
        try:
            return act()
        except (FedStudyError, APIException) as error:
            refused = error
    raise refused


@dataclass(frozen=True)
class _Asked:
    """Who asks for what, by which key."""

    person: User
    key: str
    request_digest: str

    @classmethod
    def read(cls, request: Request) -> _Asked:
        found = PATTERN.match(request.headers[HEADER])
        if found is None:
            raise Invalid("E_IDEMPOTENCY_KEY")
        digest = hashlib.sha256()
        for part in _parts(request):
            digest.update(len(part).to_bytes(8, "big") + part)
        # with the portal's secret: what was sent may be a password that could be guessed
        keyed = salted_hmac("portal.api.idempotency.request", digest.digest(), algorithm="sha256")
        return cls(cast(User, request.user), found[1] or found[2], keyed.hexdigest())

    @property
    def key_digest(self) -> str:
        named = f"{self.person.pk}:{self.key}"
        return salted_hmac("portal.api.idempotency.key", named, algorithm="sha256").hexdigest()

    def earlier(self) -> StoredAnswer | None:
        """The answer that there is, with the key held until the end of the transaction."""
        lock = int.from_bytes(bytes.fromhex(self.key_digest)[:8], "big", signed=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock])
            if not cursor.fetchone()[0]:
                raise Refusal("E_IDEMPOTENCY_BUSY")
        kept = StoredAnswer.objects.filter(person=self.person, key_digest=self.key_digest)
        kept.filter(created_at__lte=timezone.now() - StoredAnswer.LIFE).delete()
        found = kept.first()
        if found is not None and not constant_time_compare(found.request_digest, self.request_digest):
            raise Invalid("E_IDEMPOTENCY_OTHER", status=422)
        return found

    def keep(self, response: Response) -> None:
        content = b"" if response.data is None else JSONRenderer().render(response.data)
        StoredAnswer.objects.create(
            person=self.person,
            key_digest=self.key_digest,
            request_digest=self.request_digest,
            status=response.status_code,
            body=seal(content, purpose=self._purpose, bound=self._bound) if content else b"",
        )

    def replay(self, kept: StoredAnswer) -> Response:
        body = bytes(kept.body)
        data = json.loads(unseal(body, purpose=self._purpose, bound=self._bound)) if body else None
        return Response(data, status=kept.status, headers={REPLAYED: "true"})

    @property
    def _purpose(self) -> bytes:
        """With the key, which nobody but its sender has: answers hold tokens."""
        return f"fedstudy stored answer 1\0{self.person.pk}\0{self.key}".encode()

    @property
    def _bound(self) -> bytes:
        return self.request_digest.encode()


def _parts(request: Request) -> Iterator[bytes]:
    """What makes a request the same: method, address and what was sent, however it was written."""
    yield str(request.method).encode()
    yield request.get_full_path().encode()
    if not isinstance(request.data, QueryDict):
        yield json.dumps(request.data, sort_keys=True).encode()
        return
    for name, values in sorted(request.data.lists()):
        for value in values:
            yield name.encode()
            yield from _file_parts(value) if isinstance(value, UploadedFile) else (str(value).encode(),)


def _file_parts(file: UploadedFile) -> Iterator[bytes]:
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    yield str(file.name).encode()
    yield digest.digest()

"""Contents too large for a message: fetched from the portal and handed in there, each as one body.

A connection that breaks is taken up where it stopped, for as long as bytes still come through at times.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core import signed_request
from fedstudy_core.flower import Packed
from fedstudy_core.freight import OFFSET, PREFIX, TICKET, Freight
from fedstudy_core.spool import Memory, Spool, let_go
from fedstudy_node.errors import ContentLost, FleetError, RunEnded, TooLarge, Unreachable

PART = 1024 * 1024
PATIENCE = 120.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
# The portal's word that nobody waits for this any more.
_OVER = frozenset({403, 404})


@dataclass(frozen=True)
class Address:
    """Where the portal keeps a content, and the headers beside the signature that open it."""

    path: str
    more: Mapping[str, str] = field(default_factory=dict)


def beside_message(sha256: str, ticket: str) -> Address:
    """Return where the content of a message is."""
    return Address(PREFIX + sha256, {TICKET: ticket})


class FreightClient:
    """Fetches and hands in for one node. Not thread-safe.

    Args:
        identity: returns the key that signs now.
        folder: where what is fetched is put into files.
    """

    def __init__(
        self, client: httpx.Client, node: str, identity: Callable[[], Ed25519PrivateKey], folder: Path
    ) -> None:
        self._client, self._node, self._identity, self._folder = client, node, identity, folder
        self._begun: set[str] = set()

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def fetch(self, sha256: str, ticket: str, alive: Callable[[], None]) -> Freight:
        """Fetch the content of a message. Raises as `fetch_from`."""
        return self.fetch_from(beside_message(sha256, ticket), sha256, alive)

    def fetch_from(self, address: Address, sha256: str, alive: Callable[[], None]) -> Freight:
        """Fetch a content.

        Args:
            alive: called now and then meanwhile.

        Raises:
            ContentLost: it is not there, or is another one than its name says.
            Unreachable: nothing came for `PATIENCE` seconds.
        """
        with closing(_Coming(self._folder)) as coming:
            for _ in _tries(lambda: coming.size, alive):
                with suppress(httpx.HTTPError):
                    self._receive(coming, address, alive)
                    break
            if coming.sha256 != sha256:
                raise ContentLost(f"content {sha256[:12]} came with other bytes than its name says")
            return Freight(sha256, coming.whole())

    def _receive(self, coming: "_Coming", address: Address, alive: Callable[[], None]) -> None:
        headers = {"Range": f"bytes={coming.size}-"} if coming.size else {}
        with self._client.stream("GET", address.path, headers=self._signed("GET", address, headers)) as answer:
            _check(answer, ContentLost)
            if coming.size and answer.status_code != 206:
                coming.begin_again()
            for part in answer.iter_raw():  # as it comes: parts of one size would be copied together
                coming.add(part)
                alive()

    def hand_in(self, packed: Packed, ticket: str, alive: Callable[[], None]) -> None:
        """Hand an answer's content in. One that was handed in before is not sent again. Raises as `hand_in_at`."""
        self.hand_in_at(beside_message(packed.sha256, ticket), packed, alive)

    def hand_in_at(self, address: Address, packed: Packed, alive: Callable[[], None], *, go_on: bool = False) -> None:
        """Hand a content in.

        Args:
            go_on: an earlier process may have begun: ask how much has come.

        Raises:
            RunEnded: the portal takes nothing more for the run.
            TooLarge: it takes no content of this size.
            Unreachable: nothing went through for `PATIENCE` seconds.
        """
        going = _Going(packed, address)
        if go_on:
            self._begun.add(packed.sha256)
        for _ in _tries(lambda: going.offset, alive):
            with suppress(httpx.HTTPError):
                self._give(going, alive)
                return

    def _give(self, going: "_Going", alive: Callable[[], None]) -> None:
        """Send what is not there yet; where an earlier try broke off, the portal says what that is."""
        packed, sha256 = going.packed, going.packed.sha256
        if sha256 in self._begun:
            told = self._client.head(going.address.path, headers=self._signed("HEAD", going.address))
            _check(told, RunEnded)
            going.offset = int(told.headers.get(OFFSET, "0"))
        self._begun.add(sha256)
        # also when all bytes are there: whether they were made a whole, their number does not say
        method = "PATCH" if going.offset else "PUT"
        headers = {"Content-Length": str(packed.size - going.offset), OFFSET: str(going.offset)}
        signed = self._signed(method, going.address, headers)
        body = _parts(packed, going.offset, alive)
        answer = self._client.request(method, going.address.path, headers=signed, content=body)  # type: ignore[arg-type]
        _check(answer, RunEnded)
        self._begun.discard(sha256)

    def _signed(self, method: str, address: Address, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The headers of a request. Its body's hash is its name, and it may come twice: no sequence is used up."""
        signed = signed_request.sign(
            self._identity(),
            node=self._node,
            method=method,
            path=address.path,
            body=b"",
            now=datetime.now(UTC),
            sequence=0,
        )
        return {**signed, **address.more, **(more or {})}


@dataclass
class _Going:
    """An answer's content that is being handed in, and how much of it the portal has."""

    packed: Packed
    address: Address
    offset: int = 0


class _Coming:
    """A content that is being fetched: in a file, or in memory where the disk is full, to refuse it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place: Spool | Memory = Spool(folder)
        self._running = hashlib.sha256()

    def begin_again(self) -> None:
        """Drop what came."""
        self.close()
        self._place, self._running = Spool(self._folder), hashlib.sha256()

    def close(self) -> None:
        """Hold no file open."""
        self._place.close()

    def add(self, part: bytes) -> None:
        """Add what came."""
        self._running.update(part)
        try:
            self._place.write(part)
        except OSError:
            memory = Memory()
            memory.write(self._place.whole())
            memory.write(part)
            self._place = memory

    @property
    def size(self) -> int:
        return self._place.size

    @property
    def sha256(self) -> str:
        return self._running.hexdigest()

    def whole(self) -> memoryview:
        """All that came."""
        return self._place.whole()


def _tries(progress: Callable[[], int], alive: Callable[[], None]) -> Iterator[None]:
    """Try after try, with pauses that grow while nothing goes through. Raises Unreachable when that lasts."""
    pause, give_up, before = FIRST_PAUSE, time.monotonic() + PATIENCE, progress()
    while True:
        yield
        alive()
        now = progress()
        if now > before:
            pause, give_up, before = FIRST_PAUSE, time.monotonic() + PATIENCE, now
        if time.monotonic() > give_up:
            raise Unreachable("the portal does not send or take a message's content")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _parts(packed: Packed, offset: int, alive: Callable[[], None]) -> Iterator[memoryview]:
    """The bytes from `offset` on, a part at a time, where they lie."""
    for piece in packed.pieces:
        view = memoryview(piece)
        begin = min(offset, len(view))
        offset -= begin
        for start in range(begin, len(view), PART):
            yield view[start : start + PART]
            let_go(view)
            alive()


def _check(answer: httpx.Response, over: type[FleetError]) -> None:
    """Raise what no success means: `over` when nobody waits any more, else TooLarge, Unreachable or HTTPError."""
    if answer.is_success:
        return
    if answer.status_code in _OVER:
        raise over(f"the portal answered {answer.status_code}")
    if answer.status_code == 413:
        raise TooLarge("the portal takes no content of this size")
    if answer.status_code in (409, 422):
        raise httpx.HTTPError("what the portal holds differs")
    raise Unreachable(f"the portal answered {answer.status_code}")

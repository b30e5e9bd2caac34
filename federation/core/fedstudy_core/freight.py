"""Contents too large for a message: each travels beside it as one file, named by the SHA-256 of its packed bytes.

What is here is the portal's shelf of such files, where its web process and its workers meet. A run has a folder on it:
`out` holds what its messages name, and `in` what nodes answered, by the answer and the SHA-256. A part of an answer
that has come so far is kept, so that a broken connection does not begin again.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from fedstudy_core.errors import Conflict, Invalid, NotFound, Refusal
from fedstudy_core.spool import Mapped, let_go

SHA256 = re.compile(r"[0-9a-f]{64}")
PREFIX = "/api/v1/node/freight/"
TICKET, OFFSET = "FedStudy-Ticket", "Upload-Offset"
_PLAIN = re.compile(r"[0-9a-f-]{1,64}")
_PART = 1024 * 1024


@dataclass(frozen=True)
class Freight:
    """A content that came beside its message: its packed bytes, of which this is the SHA-256, and where they lie."""

    sha256: str
    data: memoryview
    path: Path | None = None


def told_apart(pieces: Iterable[bytes | memoryview], freight: Freight | None) -> Iterator[bytes | memoryview]:
    """The pieces, those that lie in a freight by its name and their place: as good for a digest, and not read again."""
    begin = 0 if freight is None else _address(freight.data)
    for piece in pieces:
        at = _address(piece) - begin
        if freight is not None and len(piece) and 0 <= at <= len(freight.data) - len(piece):
            yield f"{freight.sha256}:{at}:{len(piece)};".encode()
        else:
            yield piece


def _address(data: bytes | memoryview) -> int:
    return int(np.frombuffer(data, np.uint8).ctypes.data) if len(data) else 0


class Shelf:
    """Files of runs on their way.

    Args:
        root: the folder; it may not be there yet.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def offer(self, run: str, sha256: str, pieces: Sequence[bytes | memoryview]) -> None:
        """Put a content there for nodes to fetch, given with its SHA-256. Raises OSError."""
        path = self.offered(run, sha256)
        with suppress(FileNotFoundError):
            if path.stat().st_size == sum(map(len, pieces)):
                return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        with partial.open("wb") as file:
            for piece in pieces:
                file.write(piece)
                let_go(piece)
        partial.replace(path)

    def offered(self, run: str, sha256: str) -> Path:
        """Where a content for nodes lies."""
        return self._root / _plain(run) / "out" / _plain(sha256)

    def expect(self, run: str, answer: str) -> None:
        """Take an answer of a run, until what the run has on the shelf is cleared."""
        folder = self._root / _plain(run) / "in"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _plain(answer)).touch()

    def clear(self, run: str) -> None:
        """Offer nothing that a run offered so far, expect no answer, and drop what came and nobody took."""
        for folder in ("out", "in"):
            for path in (self._root / _plain(run) / folder).glob("*"):
                path.unlink(missing_ok=True)

    def close(self, run: str) -> None:
        """Delete what there is of a run; nothing more is taken."""
        shutil.rmtree(self._root / _plain(run), ignore_errors=True)

    def arriving(self, run: str, answer: str) -> Arrival:
        """What has come of an answer. Raises NotFound when it is not expected."""
        folder = self._root / _plain(run) / "in"
        if not (folder / _plain(answer)).is_file():
            raise NotFound("E_NOT_FOUND")
        return Arrival(folder, _plain(answer))

    def arrived(self, run: str, answer: str, sha256: str) -> Path:
        """The file of an answer that has come whole.

        Raises:
            Refusal: E_ARTIFACT_MISSING when it has not, E_REPLY when it is empty.
        """
        path = self._root / _plain(run) / "in" / f"{_plain(answer)}.{_plain(sha256)}"
        if not path.exists():
            raise Refusal("E_ARTIFACT_MISSING")
        if not path.stat().st_size:
            raise Refusal("E_REPLY", "The content of a message is empty.")
        return path


class Arrival:
    """The file of one answer while it comes. A later upload for the same answer takes the place of the one before."""

    def __init__(self, folder: Path, answer: str) -> None:
        self._folder, self._answer = folder, answer

    def size(self, sha256: str) -> int:
        """How many bytes have come of the content of that SHA-256."""
        for path in (self._whole(sha256), self._part(sha256)):
            with suppress(FileNotFoundError):
                return path.stat().st_size
        return 0

    def is_whole(self, sha256: str) -> bool:
        """Whether all of it has come."""
        return self._whole(sha256).exists()

    def begin(self, sha256: str, offset: int) -> Writing:
        """Go on writing at `offset`; what came for another content, or before a new beginning, is dropped.

        Raises:
            Conflict: E_OFFSET; so much has not come, or somebody else is writing.
            OSError: there is no room.
        """
        part = self._part(sha256)
        for other in self._folder.glob(f"{self._answer}.*"):
            if other != part or not offset:
                other.unlink(missing_ok=True)
        if offset and self.size(sha256) != offset:
            raise Conflict("E_OFFSET")
        return Writing(part, self._whole(sha256), sha256, offset)

    def _part(self, sha256: str) -> Path:
        return self._folder / f"{self._answer}.{_plain(sha256)}.part"

    def _whole(self, sha256: str) -> Path:
        return self._folder / f"{self._answer}.{_plain(sha256)}"


class Writing:
    """Bytes of an answer being added, by nobody else meanwhile: its hash is that of the file. A context manager."""

    def __init__(self, part: Path, whole: Path, sha256: str, offset: int) -> None:
        self._part, self._whole, self._sha256 = part, whole, sha256
        try:
            self._file = _locked(part, "r+b" if offset else "xb")
        except (FileExistsError, FileNotFoundError, BlockingIOError) as error:
            raise Conflict("E_OFFSET") from error
        self._running = hashlib.sha256()
        while offset and (data := self._file.read(min(_PART, offset - self._file.tell()))):
            self._running.update(data)

    def __enter__(self) -> Writing:
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return self._file.tell()

    def add(self, *parts: bytes) -> None:
        """Add bytes, one part after the other. Raises OSError."""
        for part in parts:
            self._running.update(part)
            left = memoryview(part)
            while left:
                left = left[self._file.write(left) :]

    def finish(self) -> None:
        """Make it the answer's file, on disk.

        Raises:
            Invalid: E_HASH; it is another content, and dropped.
            NotFound: nobody waits for it any more, or somebody began it anew.
        """
        if self._running.hexdigest() != self._sha256:
            self._part.unlink(missing_ok=True)
            raise Invalid("E_HASH", status=422)
        os.fsync(self._file.fileno())
        try:
            if not os.path.samestat(os.fstat(self._file.fileno()), self._part.stat()):
                raise NotFound("E_NOT_FOUND")
            self._part.replace(self._whole)
        except FileNotFoundError as error:
            raise NotFound("E_NOT_FOUND") from error


def _locked(path: Path, mode: str) -> FileIO:
    """Open a file that nobody else writes. Raises BlockingIOError where somebody does, OSError."""
    file = FileIO(path, mode)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise
    return file


def lying(path: Path, sha256: str) -> Freight:
    """A content that lies in a file, read as it is looked at. Raises OSError."""
    with path.open("rb") as file:
        return Freight(sha256, memoryview(Mapped(file.fileno(), 0, access=mmap.ACCESS_READ)), path)


def _plain(name: str) -> str:
    if not _PLAIN.fullmatch(name):
        raise NotFound("E_NOT_FOUND")
    return name

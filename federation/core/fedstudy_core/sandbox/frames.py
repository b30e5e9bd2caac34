"""Length-framed messages over a pipe between the agent and the process that runs a script.

A frame is a 12-byte prefix (length of the header as 4 bytes, length of the body as 8 bytes, big-endian), a header (a
JSON object) and a body (bytes, mostly a Flower protobuf). Nothing on the pipe is ever unpickled. The reading side
states the largest header and body it will take, because the other end runs code from outside the hospital.
"""

import json
import os
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedstudy_core.spool import LARGE, Arena, Spool, let_go

PREFIX = struct.Struct(">IQ")
MAX_HEADER = 256 * 1024
MAX_BODY = 4 * 1024**3
MOST_AT_ONCE = 16
_CHUNK = 1024 * 1024
_BUFFER = 64 * 1024


class FrameError(Exception):
    """The other end sent something that is not a frame, or one that is too large."""


class FrameTooLarge(FrameError):
    """The other end announced more than it may send at once."""


class PipeClosed(Exception):
    """The other end closed its side of the pipe."""


@dataclass(frozen=True)
class Frame:
    """One message: a small JSON header and a body of bytes.

    Attributes:
        rest: the body's further pieces, where it is to be sent and lies in several.
    """

    header: dict[str, Any]
    body: bytes | bytearray | memoryview = b""
    rest: Sequence[bytes | memoryview] = ()

    @property
    def kind(self) -> str:
        """What the frame is, as its sender names it."""
        return str(self.header.get("kind", ""))


def encode(frame: Frame) -> list[memoryview]:
    """Return the pieces of a frame in the order in which they are written; the body is not copied."""
    header = json.dumps(frame.header, separators=(",", ":")).encode()
    if len(header) > MAX_HEADER:
        raise FrameError(f"a frame header of {len(header)} bytes is too long")
    body = [memoryview(piece) for piece in (frame.body, *frame.rest) if len(piece)]
    prefix = PREFIX.pack(len(header), sum(map(len, body)))
    return [memoryview(prefix + header), *body]


def _parse_header(raw: bytes | bytearray) -> dict[str, Any]:
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise FrameError("a frame header is not JSON") from error
    if not isinstance(header, dict):
        raise FrameError("a frame header is not an object")
    return header


@dataclass
class FrameReader:
    """Collects frames from a file descriptor, which may be blocking or not.

    Attributes:
        folder: where large bodies are put into files; None to hold them in memory.
    """

    fd: int
    max_body: int = MAX_BODY
    folder: Path | None = None
    _need: bytearray = field(default_factory=lambda: bytearray(PREFIX.size))
    _have: int = 0
    _large: Spool | Arena | None = None
    _header: dict[str, Any] | None = None
    _lengths: tuple[int, int] | None = None

    def read_one(self) -> Frame:
        """Block until one whole frame has come. Raises PipeClosed and FrameError."""
        while True:
            frame = self._advance()
            if frame is not None:
                return frame

    def read_ready(self) -> list[Frame]:
        """Return the frames complete by now, without waiting. Raises PipeClosed and FrameError.

        At most `MOST_AT_ONCE`, and no more bytes than one largest frame and another: who sends faster than the agent
        reads must neither keep it from its other work nor fill its memory.
        """
        frames: list[Frame] = []
        size = 0
        try:
            while len(frames) < MOST_AT_ONCE and size <= self.max_body:
                frame = self._advance()
                if frame is not None:
                    frames.append(frame)
                    size += len(frame.body)
        except BlockingIOError:
            return frames
        except PipeClosed:
            if frames:
                return frames
            raise
        return frames

    def _advance(self) -> Frame | None:
        """Read once; return a frame when that completed one."""
        if self._large is not None:
            return self._advance_large(self._large)
        if self._have < len(self._need):
            self._have += self._read_into(memoryview(self._need)[self._have : self._have + _CHUNK])
            if self._have < len(self._need):
                return None
        return self._complete_part()

    def _advance_large(self, body: Spool | Arena) -> Frame | None:
        body.took(self._read_into(body.next_part()))
        return self._complete(body.whole()) if body.size == body.room else None

    def _read_into(self, part: memoryview) -> int:
        count = os.readv(self.fd, [part])
        if count == 0:
            raise PipeClosed
        return count

    def _complete_part(self) -> Frame | None:
        part = self._need
        if self._lengths is None:
            header_length, body_length = PREFIX.unpack(part)
            if header_length > MAX_HEADER or body_length > self.max_body:
                raise FrameTooLarge(f"a frame of {header_length} + {body_length} bytes is too large")
            self._lengths = (header_length, body_length)
            self._expect(header_length)
            return None
        if self._header is None:
            self._header = _parse_header(part)
            self._expect_body(self._lengths[1])
            if self._lengths[1]:
                return None
            part = self._need
        return self._complete(part)

    def _complete(self, body: bytearray | memoryview) -> Frame:
        frame = Frame(self._header or {}, body)
        self._header = None
        self._lengths = None
        self._large = None
        self._expect(PREFIX.size)
        return frame

    def _expect(self, count: int) -> None:
        self._need = bytearray(count)
        self._have = 0

    def _expect_body(self, count: int) -> None:
        if count < LARGE:
            self._expect(count)
        elif self.folder is None:
            self._large = Arena(count)
        else:
            self._large = _file_or_memory(count, self.folder)


def _file_or_memory(count: int, folder: Path) -> Spool | Arena:
    """A place for so many bytes: where the disk is full it is memory, and whoever reads the frame has its say."""
    try:
        return Spool(folder, room=count)
    except OSError:
        return Arena(count)


class FrameStream:
    """Takes frames from a pipe that blocks, a body as its reader wants it.

    What is read are `bytes` that the pipe was read into: nothing of a body is in memory twice.

    Attributes:
        left: bytes of the body at hand that were not read yet.
    """

    def __init__(self, fd: int) -> None:
        self._file = open(fd, "rb", buffering=_BUFFER, closefd=False)  # noqa: SIM115 - open as long as the pipe
        self.left = 0

    def next(self) -> Frame:
        """Block until the header of the next frame has come; its body is to be read.

        What nobody read of the body before is passed over. Raises PipeClosed and FrameError.
        """
        while self.left:
            self.read(min(self.left, _CHUNK))
        header_length, body_length = PREFIX.unpack(self._take(PREFIX.size))
        if header_length > MAX_HEADER or body_length > MAX_BODY:
            raise FrameTooLarge(f"a frame of {header_length} + {body_length} bytes is too large")
        header = _parse_header(self._take(header_length))
        self.left = body_length
        return Frame(header)

    def read(self, count: int) -> bytes:
        """Block until so many bytes of the body have come. Raises PipeClosed, and FrameError for more than are left."""
        if count > self.left:
            raise FrameError(f"{count} bytes are wanted of a body that has {self.left}")
        data = self._take(count)
        self.left -= count
        return data

    def _take(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise PipeClosed
        return data


@dataclass
class FrameWriter:
    """Writes frames to a file descriptor; on a non-blocking one it keeps what did not fit."""

    fd: int
    _queue: deque[memoryview] = field(default_factory=deque)

    def put(self, frame: Frame) -> None:
        """Queue a frame; `flush` writes it."""
        self._queue.extend(encode(frame))

    def flush(self) -> bool:
        """Write what fits. True when nothing is left. Raises PipeClosed."""
        while self._queue:
            piece = self._queue[0]
            try:
                count = os.write(self.fd, piece[: _CHUNK * 4])
            except BlockingIOError:
                return False
            except BrokenPipeError as error:
                raise PipeClosed from error
            let_go(piece)
            if count == len(piece):
                self._queue.popleft()
            else:
                self._queue[0] = piece[count:]
        return True

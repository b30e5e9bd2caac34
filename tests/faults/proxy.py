"""A TCP door between a node and a server, behind which the weather of networks is made: no root, no kernel module."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

CHUNK = 65_536
GLANCE_S = 0.05
RETRANSMISSION_S = (0.2, 1.0)


@dataclass(frozen=True)
class Weather:
    """What happens to bytes on their way.

    Attributes:
        up, down: whether bytes pass from the node to the server, and back; held back ones pass later, as TCP has it.
        reset: every connection is ended by a reset, and so is each new one.
        rate: most bytes a second in each direction; 0 for no limit.
        loss: share of the chunks that come late, as lost packets do that TCP sends again.
        flip: a bit of each chunk is flipped.
    """

    up: bool = True
    down: bool = True
    reset: bool = False
    rate: int = 0
    loss: float = 0.0
    flip: bool = False


FAIR = Weather()


class Door:
    """Forwards connections to an address, as its weather lets it."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.weather = FAIR
        self.arrivals: deque[float] = deque(maxlen=100_000)
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def address(self) -> str:
        """Where the node knocks instead."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def set(self, weather: Weather) -> None:
        """Change the weather; a reset ends what is open at once."""
        self.weather = weather
        if weather.reset:
            while self._open:
                _reset(self._open.pop())

    def close(self) -> None:
        """Let nobody in any more."""
        self._listener.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                inside, _ = self._listener.accept()
                self.arrivals.append(time.monotonic())
                threading.Thread(target=self._serve, args=(inside,), daemon=True).start()

    def _serve(self, inside: socket.socket) -> None:
        if self.weather.reset:
            _reset(inside)
            return
        while not self.weather.up:
            time.sleep(GLANCE_S)
        try:
            outside = socket.create_connection(self._target, timeout=10)
        except OSError:
            _reset(inside)
            return
        outside.settimeout(None)
        self._open += [inside, outside]
        back = threading.Thread(target=self._carry, args=(outside, inside, "down"), daemon=True)
        back.start()
        self._carry(inside, outside, "up")
        back.join()
        for end in (inside, outside):
            with suppress(ValueError):
                self._open.remove(end)
            end.close()

    def _carry(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        with suppress(OSError):
            while chunk := source.recv(CHUNK):
                sink.sendall(self._weathered(chunk, way))
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _weathered(self, chunk: bytes, way: str) -> bytes:
        while not getattr(self.weather, way):
            time.sleep(GLANCE_S)
        weather = self.weather
        if weather.loss and random.random() < weather.loss:
            time.sleep(random.uniform(*RETRANSMISSION_S))
        if weather.rate:
            time.sleep(len(chunk) / weather.rate)
        if weather.flip:
            changed = bytearray(chunk)
            changed[len(chunk) // 2] ^= 1
            return bytes(changed)
        return chunk


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
        connection.close()

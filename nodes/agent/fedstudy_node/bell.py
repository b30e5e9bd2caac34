"""A bell that any thread can ring and that the agent's main loop hears among its pipes."""

import os
from contextlib import suppress


class Bell:
    """One end to ring, one to wait for. Ringing twice before it is heard is ringing once."""

    def __init__(self) -> None:
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._writable, False)
        self.answered = False

    @property
    def fd(self) -> int:
        """The descriptor that becomes readable when somebody rings."""
        return self._readable

    def ring(self) -> None:
        """Ring."""
        with suppress(BlockingIOError):  # it rings already, often enough to fill the pipe
            os.write(self._writable, b"!")

    def hear(self) -> bool:
        """Whether it rang since it was heard last."""
        try:
            return bool(os.read(self._readable, 4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Take it down."""
        os.close(self._readable)
        os.close(self._writable)

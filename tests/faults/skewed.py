"""The node's console in another time: `python -m tests.faults.skewed SECONDS WORDS...`.

Moves what Python says of the time of day before anything of the node is imported; a clock that only runs forward, and
OpenSSL, stay as they are.
"""

from __future__ import annotations

import datetime as datetimes
import sys
import time
from typing import Any

OFFSET = float(sys.argv.pop(1)) if __name__ == "__main__" else 0.0
_true_time, _true_time_ns, _Datetime = time.time, time.time_ns, datetimes.datetime


class _SameClass(type):
    """Every moment counts as one of the moved class."""

    def __instancecheck__(cls, thing: object) -> bool:
        return isinstance(thing, _Datetime)


class Moved(_Datetime, metaclass=_SameClass):
    """A datetime whose present is elsewhere."""

    @classmethod
    def now(cls, tz: datetimes.tzinfo | None = None) -> Any:
        """The present, moved."""
        return _Datetime.now(tz) + datetimes.timedelta(seconds=OFFSET)

    @classmethod
    def utcnow(cls) -> Any:
        """The present in UTC, moved."""
        return _Datetime.now(datetimes.UTC).replace(tzinfo=None) + datetimes.timedelta(seconds=OFFSET)


def main() -> int:
    """Move the time and run the console."""
    time.time = lambda: _true_time() + OFFSET
    time.time_ns = lambda: _true_time_ns() + int(OFFSET * 1e9)
    datetimes.datetime = Moved  # type: ignore[misc]
    from fedstudy_node.cli import main as console

    return console()


if __name__ == "__main__":
    sys.exit(main())

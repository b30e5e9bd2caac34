"""What scripts print: kept in a file of the hospital, up to a size, whatever a script prints."""

import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

MOST = 4 * 1024**2
_CUT = b"\n[more was printed; the node keeps the first 4 MiB]\n"


def keep_prints(source: IO[bytes], log: Path) -> threading.Thread:
    """Add what comes from the pipe to the file until the pipe ends; beyond `MOST` it is read and forgotten.

    The thread that does so ends when all is in the file.
    """
    keeper = threading.Thread(target=_keep, args=(source, log), name="prints", daemon=True)
    keeper.start()
    return keeper


def _keep(source: IO[bytes], log: Path) -> None:
    log.touch(mode=0o600, exist_ok=True)
    with source, log.open("ab", buffering=0) as file:
        left = MOST - file.tell()
        while part := source.read1(65_536):  # type: ignore[attr-defined]
            if left > 0:
                with suppress(OSError):  # a full disk must not stop the script's prints from being read
                    file.write(part[:left] + (_CUT if len(part) >= left else b""))
            left -= len(part)

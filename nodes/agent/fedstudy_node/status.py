"""What the running agent says about itself, for `fedstudy-node status`."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import structlog

from fedstudy_node import __version__
from fedstudy_node.errors import NodeError
from fedstudy_node.home import now_text, write_private

log = structlog.get_logger()


class Status:
    """The agent's state in status.json; may be set from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._facts: dict[str, Any] = {
            "pid": os.getpid(),
            "version": __version__,
            "started_at": now_text(),
            "fleet": "connecting",
            "portal": "connecting",
            "runs": [],
        }
        self._write()

    def set(self, **facts: object) -> None:
        """Change facts; written only when something really changed."""
        with self._lock:
            changed = {key: value for key, value in facts.items() if self._facts.get(key) != value}
            if changed:
                self._facts.update(changed)
                self._write()

    def get(self, key: str) -> object:
        """Return a fact."""
        with self._lock:
            return self._facts.get(key)

    def _write(self) -> None:
        """Write all facts. Where that fails (a full disk), the work goes on, and the next change is written whole."""
        content = self._facts | {"written_at": now_text()}
        try:
            write_private(self._path, json.dumps(content, indent=1).encode())
        except NodeError as error:
            log.warning("status_not_written", detail=error.detail)


def read_status(path: Path) -> dict[str, Any]:
    """Return what the agent last said, with `running` telling whether its process lives."""
    if not path.exists():
        return {"running": False}
    facts: dict[str, Any] = json.loads(path.read_bytes())
    return facts | {"running": _lives(int(facts["pid"]))}


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

"""Logging of the agent: JSON lines in agent.log, the same to standard error. Never a key, a token or a passphrase."""

import logging
import sys
from pathlib import Path
from typing import Any

import structlog

_SECRET_WORDS = ("token", "passphrase", "password", "secret", "private")


def _hide_secrets(_: object, __: str, event: Any) -> Any:
    """Blank what is named like a secret, should anybody ever log one."""
    for key in event:
        if any(word in key.lower() for word in _SECRET_WORDS):
            event[key] = "[hidden]"
    return event


def set_up(log_path: Path | None, *, to_stderr: bool = True) -> None:
    """Send log events to the file (readable by its owner only) and to standard error."""
    handlers: list[logging.Handler] = []
    if log_path is not None:
        log_path.touch(mode=0o600, exist_ok=True)
        handlers.append(logging.FileHandler(log_path, encoding="utf-8"))
    if to_stderr:
        handlers.append(logging.StreamHandler(sys.stderr))
    logging.basicConfig(level=logging.INFO, handlers=handlers, format="%(message)s", force=True)
    for noisy in ("httpx", "httpcore", "flwr"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _hide_secrets,
            structlog.processors.JSONRenderer(sort_keys=False),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )

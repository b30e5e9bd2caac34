"""The process that gives every event its place in the log's tree and signs checkpoints; see `audit.sequencer`."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from audit import proofs
from audit.sequencer import AT_ONCE, LogSigner, Sequencer, lead
from fedstudy_core import keys
from fedstudy_core.errors import FedStudyError

log = structlog.get_logger("audit.sequencer")
TICK_S = 0.2
BETWEEN_CHECKPOINTS_S = 1.0
RETRY_S = 1.0


class Command(BaseCommand):
    help = "Give every event its place in the log, and sign checkpoints. One of these processes leads; more may wait."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stopping = threading.Event()
        self._alive: Path | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="place what there is, sign, and end")
        parser.add_argument("--alive", type=Path, help="a file that is written anew while this process is well")

    def handle(self, *args: Any, **options: Any) -> None:
        key = read_key()
        self._alive = options["alive"]
        if options["once"]:
            self._once(key)
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        while not self._stopping.is_set():
            try:
                self._lead_and_work(key)
            except DatabaseError as error:
                log.warning("the database went away; the sequencer begins anew", error=str(error))
                connection.close()
                self._stopping.wait(RETRY_S)
        connection.close()

    def _once(self, key: Ed25519PrivateKey) -> None:
        if not lead():
            raise CommandError("A sequencer is at work already: it places what there is.")
        sequencer = Sequencer.begin(signer_now(key))
        while sequencer.place_batch():
            pass
        sequencer.sign_checkpoint()
        self.stdout.write(f"{sequencer.growth.edge.size} events have their place.")
        connection.close()

    def _lead_and_work(self, key: Ed25519PrivateKey) -> None:
        while not lead():
            self._tell_alive()
            if self._stopping.wait(RETRY_S):
                return
        try:
            sequencer = Sequencer.begin(signer_now(key))
        except FedStudyError as error:
            connection.close()
            raise CommandError(f"{error.detail} ({error.code})") from error
        log.info("leading", size=sequencer.growth.edge.size, key=str(sequencer.signer.key))
        due = time.monotonic()
        while not self._stopping.is_set():
            placed = sequencer.place_batch()
            if time.monotonic() >= due:
                sequencer.sign_checkpoint()
                if placed < AT_ONCE:  # nothing waits for a place
                    sequencer.file_words()
                self._tell_alive()
                due = time.monotonic() + BETWEEN_CHECKPOINTS_S
            if placed < AT_ONCE:
                self._stopping.wait(TICK_S)
        sequencer.sign_checkpoint()

    def _tell_alive(self) -> None:
        if self._alive:
            self._alive.touch()


def signer_now(key: Ed25519PrivateKey) -> LogSigner:
    """With what the log signs: in the name under which it went on last, or that of the settings."""
    return LogSigner(proofs.succeeding_origin() or settings.FEDSTUDY_LOG_ORIGIN, key)


def read_key() -> Ed25519PrivateKey:
    """The log's key from the file that the settings name. Raises CommandError."""
    path: Path | None = settings.FEDSTUDY_LOG_KEY
    if path is None:
        raise CommandError("FEDSTUDY_LOG_KEY names no file: make one with `openssl genpkey -algorithm ed25519`.")
    try:
        return keys.from_pem(path.read_bytes(), None)
    except OSError as error:
        raise CommandError(f"The log's key cannot be read: {error}") from error
    except FedStudyError as error:
        raise CommandError(f"The log's key cannot be used: {error.detail} ({error.code})") from error

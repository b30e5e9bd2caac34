"""Tells the log that a backup was made, could not be made, was tried or was restored; see `audit.backups`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.backups import ACTIONS, LONGEST_LABEL, MOST_FILES, note_backup


class Command(BaseCommand):
    help = "Tell the log what was done with a backup: the last line of the script that makes it, or restores it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("done", choices=[*ACTIONS], help="“tried”: restored elsewhere, to see that it can be")
        parser.add_argument("label", help="how it is found again, such as nightly-2030-01-31")
        parser.add_argument("files", nargs="*", type=Path, help="what it consists of; the log gets their SHA-256")

    def handle(self, *args: Any, **options: Any) -> None:
        done, label, files = options["done"], options["label"].strip(), options["files"]
        if not 1 <= len(label) <= LONGEST_LABEL:
            raise CommandError(f"A label has 1 to {LONGEST_LABEL} characters.")
        if len(files) > MOST_FILES:
            raise CommandError(f"A backup is told with {MOST_FILES} files at most: pack them.")
        try:
            event = note_backup(done=done, label=label, files=files)
        except OSError as error:
            raise CommandError(f"A file of the backup cannot be read: {error}") from error
        self.stdout.write(f"The log has it as event {event.event_id}.")

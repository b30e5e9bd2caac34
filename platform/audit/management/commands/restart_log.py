"""Lets the log go on under another origin after a part of it was lost; see `audit.succeeding`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.management.commands.sequence_log import read_key
from audit.sequencer import lead
from audit.succeeding import succeed
from fedstudy_core.errors import FedStudyError


class Command(BaseCommand):
    help = "Let the log go on under another origin, after a backup was restored that lacks what witnesses have seen."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("origin", help="the new name, such as portal.example.org/audit/2; never one used before")
        parser.add_argument("--seen", type=Path, help="file with the newest checkpoint that a witness kept")

    def handle(self, *args: Any, **options: Any) -> None:
        if not lead():
            raise CommandError("Stop the sequencer first.")
        try:
            seen = options["seen"].read_text("utf-8") if options["seen"] else ""
            told = succeed(origin=options["origin"], key=read_key(), seen=seen)
        except OSError as error:
            raise CommandError(f"The checkpoint cannot be read: {error}") from error
        except FedStudyError as error:
            raise CommandError(f"{error.detail} ({error.code})") from error
        self.stdout.write(
            f"The log of {told.old.name} ended at {told.size} events, root {told.root.hex()}.\n"
            f"It goes on as {told.new.name}, by the key {told.new}\n"
            "Start the sequencer. Each site says at its node: fedstudy-node witness accept"
        )

"""Prints the one-time token with which the first administrator signs up."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.services import create_setup_token
from fedstudy_core.errors import FedStudyError


class Command(BaseCommand):
    help = "Print a one-time token for the first administrator (good for 24 hours)."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            token = create_setup_token()
        except FedStudyError as error:
            raise CommandError(f"{error.detail} ({error.code})") from error
        self.stdout.write(token)

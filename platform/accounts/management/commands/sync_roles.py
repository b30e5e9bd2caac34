"""Brings the permissions of all roles in line with the table, after an upgrade that changed it."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from accounts.groups import synchronise


class Command(BaseCommand):
    help = "Bring the permissions of all roles in line with accounts.permissions.ROLE_PERMISSIONS."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        changed = synchronise()
        self.stdout.write(f"{changed} roles had other permissions than the table says; they are in line now.")

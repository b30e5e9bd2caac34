"""`lead_run`: lead a run whose script brings its own ServerApp. Started by workers, not by people."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from federation.runs import drivers
from federation.runs.lease import Fenced
from fedstudy_core.sandbox.inside import die_with_parent


class Command(BaseCommand):
    """Leads one run to its end, and ends with the worker that started it."""

    help = "Lead a run whose script brings its own ServerApp (workers start this)"
    requires_system_checks: list[str] = []  # the worker passed them

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the lease and the worker's process id."""
        parser.add_argument("lease", type=drivers.lease_of)
        parser.add_argument("--parent", type=int, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """Lead the run, if the lease still holds after the time that it took to start."""
        die_with_parent(options["parent"])
        try:
            options["lease"].hold()
        except Fenced:
            return
        from federation.runs import leading  # Flower is imported by drivers only

        leading.lead(options["lease"])

"""`lead_run`: lead a run whose script brings its own ServerApp. Started by workers, not by people."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand

from fedstudy_core.sandbox.inside import die_with_parent


class Command(BaseCommand):
    """Leads one run to its end, and ends with the worker that started it."""

    help = "Lead a run whose script brings its own ServerApp (workers start this)"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the run's id and the worker's process id."""
        parser.add_argument("run", type=UUID)
        parser.add_argument("--parent", type=int, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """Lead the run."""
        from federation.runs import leading  # Flower is imported by drivers only

        die_with_parent(options["parent"])
        leading.lead(options["run"])

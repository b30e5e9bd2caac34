"""Fills an empty database with a synthetic portal, to measure pages on."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from fedstudy_core.errors import FedStudyError
from portal.seeding.seed import seed
from portal.seeding.shape import Shape


class Command(BaseCommand):
    help = "Fill an empty database with a synthetic portal of many studies, rounds and log entries."

    def add_arguments(self, parser: CommandParser) -> None:
        for name in ("studies", "sites", "rounds", "events"):
            parser.add_argument(f"--{name}", type=int, default=getattr(Shape, name), help="how many (%(default)s)")
        parser.add_argument("--password", help="with which everybody in it can sign in (nobody can without)")
        parser.add_argument("--yes", action="store_true", help="yes, this database is to hold nothing but made-up rows")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["yes"]:
            raise CommandError("This fills the database with made-up people and studies. Say --yes if it is to.")
        try:
            shape = Shape(**{name: options[name] for name in ("studies", "sites", "rounds", "events")})
            cast = seed(shape, password=options["password"], say=self._say)
        except FedStudyError as error:
            raise CommandError(f"{error.detail} ({error.code})") from error
        self.stdout.write(f"Done. Among {len(cast.everybody)} people: {cast.admin.email}, {cast.auditors[0].email},")
        self.stdout.write(f"{cast.investigators[0].email}, {cast.sites[0].admin.email}.")

    def _say(self, step: str) -> None:
        self.stdout.write(step)
        self.stdout.flush()

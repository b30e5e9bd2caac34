"""The study on a stack of its own: the four centres' nodes, and a coordinating centre's with pooled train rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from bench.reproduce.pooling import write_pooled
from bench.reproduce.recipes import POOLS
from devstack import stack as stacks
from devstack.demo import people, story
from devstack.demo.cast import DATASET, Cast, Hospital, Person, make_cast
from devstack.demo.story import Prepared
from devstack.demo.telling import Telling
from devstack.processes import Supervisor
from devstack.services import Folders
from devstack.stack import Stack
from federation.library.heart_disease.heart_disease.dataset import POOLED
from federation.library.heart_disease.source import write_centres
from fedstudy_client.transport import Transport


def cast_with_pools() -> Cast:
    """The demo's people and hospitals, and a site of the coordinating centre for each set of pooled rows."""
    cast = make_cast()
    pools = [
        Hospital(name, f"coordinating-{number}", "Nowhere", "US", _admin(number))
        for number, name in enumerate(POOLS, 1)
    ]
    return replace(cast, hospitals=(*cast.hospitals, *pools))


def _admin(number: int) -> Person:
    return Person(f"coordinating-{number}@demo.example", f"Demo Data Manager {number}", "site admin")


def write_rows(folder: Path) -> dict[str, Path]:
    """Each site's file: the centres' own rows, and the pooled train rows."""
    centres = write_centres(folder)
    pooled = {
        name: write_pooled({centre: centres[centre] for centre in members}, folder / f"pooled_{number}.csv")
        for number, (name, members) in enumerate(POOLS.items(), 1)
    }
    return {**centres, **pooled}


@contextmanager
def prepared_study(console: Console) -> Iterator[tuple[Stack, Cast, Prepared]]:
    """A running stack with the study ready for runs; everything is ended and removed at the end."""
    with TemporaryDirectory(prefix="fedstudy-reproduce-") as folder, Supervisor() as supervisor:
        folders = Folders.under(Path(folder))
        stack = stacks.start(supervisor, folders, profile="demo", port=None)
        cast = cast_with_pools()
        rows = write_rows(folders.state / "hospitals")
        with Telling(console, story.PREPARING_STEPS) as tell:
            prepared = story.prepare(stack, cast, rows, tell, lambda pi, study: _submit(stack, cast, pi, study))
        yield stack, cast, prepared
        prepared.sessions.close()


def _submit(stack: Stack, cast: Cast, investigator: Transport, study: str) -> str:
    """Say at the coordinating centre's nodes that their rows are pooled, and submit the script."""
    for hospital in cast.hospitals:
        if hospital.centre in POOLS:
            stack.node(hospital.node).command("dataset", "config", DATASET, f"{POOLED}=true")
    return people.submit_library_script(investigator, study)

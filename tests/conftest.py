"""What every test may use. PostgreSQL and Valkey are started by `devstack.pytest_plugin`."""

import gc
import os
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path

import pytest
from django.db import transaction
from pytest_django.plugin import DjangoDbBlocker

from fedstudy_core import keys
from tests.api import world as worlds
from tests.api.world import World
from tests.audit.watching import watched
from tests.databases import made_once
from tests.stage import Stage, set_up_stage

LONGEST_ID = 80
# The tests during which the portal's own code may change nothing without an event.
WATCHED = (
    "tests/accounts/", "tests/api/", "tests/degrees/", "tests/dossiers/", "tests/notifications/", "tests/pooling/",
    "tests/registry/", "tests/releases/", "tests/runs/", "tests/studies/", "tests/web/", "tests/webhooks/",
)  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="write tests/golden anew from what is measured")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests, a file goes to one of them, and so does all that needs the stage.

    The long ones come first, so that no process is left with one at the end. First of all hooks: xdist reads the marks
    in the same hook of its own.
    """
    items.sort(key=lambda item: (item.get_closest_marker("e2e") is None, item.get_closest_marker("last") is not None))
    for item in items:
        if item.get_closest_marker("xdist_group"):
            continue
        needs_stage = "stage" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("stage" if needs_stage else str(item.path)))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a test's parameter by what it is, where it is a whole file: archives hold the time they were made at, and
    processes that share the tests must name them alike."""
    return argname if isinstance(val, bytes | str) and len(val) > LONGEST_ID else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nothing that is loaded now goes before the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Spare the collector what thousands of collected tests hold until the end, and look for rubbish as the portal does
    (`portal.asgi`)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Migrations take long: of the processes that share the tests, one goes through them."""
    run = getattr(request.config, "workerinput", {}).get("testrunuid")
    if fixturedef.argname != "django_db_setup" or run is None:
        return (yield)
    with made_once(Path(os.environ["FEDSTUDY_DATA_DIR"]).parent / f"database-{run}"):
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def stretched_once() -> Iterator[None]:
    """A passphrase is as costly to try as in earnest, but for the same try of the same key."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(keys, "_stretch", cache(keys._stretch))
        yield


@pytest.fixture(autouse=True)
def every_change_is_an_event(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the portal's own code changes during a test, it writes into the log in the same transaction."""
    if not any(request.node.nodeid.startswith(part) for part in WATCHED):
        yield
        return
    if not (request.node.get_closest_marker("django_db") or {"db", "world"}.intersection(request.fixturenames)):
        yield
        return
    request.getfixturevalue("db")
    with watched() as watch:
        yield
    assert not watch.silent, "changed without an event: " + "; ".join(sorted({str(write) for write in watch.silent}))


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """The whole stack with a study that is ready for runs; made once, when the first test asks for it."""
    with set_up_stage() as made:
        yield made


@pytest.fixture(scope="module")
def built_world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """A portal with one study that is ready for runs, made once for the tests of a file."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield worlds.build()
        transaction.set_rollback(True)


@pytest.fixture
def world(built_world: World, db: None) -> World:
    """The file's world as it was built: what the test before it wrote is taken back."""
    return worlds.copy_of(built_world)

"""A pytest plugin that gives the session its own PostgreSQL and Valkey before Django reads its settings.

pytest-django reads the settings while pytest looks for its first conftest.py, so that one would come too
late: this plugin is named in pyproject.toml (`addopts = ["-p", "devstack.pytest_plugin"]`).
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from devstack import services
from devstack.processes import Supervisor

SUPERVISOR = pytest.StashKey[Supervisor]()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    """Start the services, unless the environment names a database already (an outer session's own)."""
    if "FEDSTUDY_DATABASE_URL" not in os.environ:
        folders = services.Folders.throwaway()
        supervisor = Supervisor()
        early_config.stash[SUPERVISOR] = supervisor
        try:
            started = services.start(supervisor, folders)
        except BaseException:
            supervisor.stop()
            raise
        os.environ.update(services.portal_environment(started, folders, profile="test"))
        os.environ.update(services.owner_environment(started))  # tests make their database themselves
        os.environ["FEDSTUDY_TEST_SUPERUSER_URL"] = started.postgres.superuser_url
    elif worker := os.environ.get("PYTEST_XDIST_WORKER", ""):
        _keep_apart(int(worker.removeprefix("gw")) + 1)
    return (yield)


def _keep_apart(number: int) -> None:
    """Give one of several test processes its own part of Valkey and its own files; its database is of pytest-django."""
    server = os.environ["FEDSTUDY_REDIS_URL"].partition("?")[0]
    os.environ["FEDSTUDY_REDIS_URL"] = f"{server}?db={number}"
    data = Path(os.environ["FEDSTUDY_DATA_DIR"], f"worker-{number}")
    data.mkdir(exist_ok=True)
    os.environ["FEDSTUDY_DATA_DIR"] = str(data)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what this session started."""
    supervisor = config.stash.get(SUPERVISOR, None)
    if supervisor is not None:
        supervisor.stop()

"""A pytest plugin that gives the session its own PostgreSQL and Valkey before Django reads its settings.

pytest-django reads the settings while pytest looks for its first conftest.py, so that one would come too
late: this plugin is named in pyproject.toml (`addopts = ["-p", "devstack.pytest_plugin"]`).
"""

import os
from collections.abc import Generator

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
        os.environ["FEDSTUDY_TEST_SUPERUSER_URL"] = started.postgres.superuser_url
    return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what this session started."""
    supervisor = config.stash.get(SUPERVISOR, None)
    if supervisor is not None:
        supervisor.stop()

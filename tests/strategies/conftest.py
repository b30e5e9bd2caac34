"""What Flower needs around it: every message is stamped with the run that the process works for."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from flwr.supercore.task_identity import TaskIdentity


@pytest.fixture(autouse=True, scope="session")
def quiet() -> None:
    """Flower writes lines for every round, which take longer than the rounds."""
    logging.getLogger("flwr").setLevel(logging.WARNING)


@pytest.fixture(autouse=True)
def task_identity() -> Iterator[None]:
    before = (TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id)
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 3, 7, 11
    yield
    TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id = before

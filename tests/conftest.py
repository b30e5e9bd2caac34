"""What every test may use. PostgreSQL and Valkey are started by `devstack.pytest_plugin`."""

from collections.abc import Iterator

import pytest

from tests.stage import Stage, set_up_stage


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """The whole stack with a study that is ready for runs; made once, when the first test asks for it."""
    with set_up_stage() as made:
        yield made

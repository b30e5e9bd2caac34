"""What the node's tests share."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fedstudy_node.ledger import Ledger
from tests.factories.office import Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        made = Office(tmp_path, ledger)
        yield made
        made.runs.end_all()

"""Two requests at once: a token and a sequence number are spent once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from fedstudy_core.errors import FedStudyError
from nodes.registry.models import Node
from nodes.registry.services import expect_node, take_sequence
from tests.factories.registry import Hardware
from tests.factories.studies import new_site

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls: Callable[[], object]) -> list[str]:
    """The codes with which the calls ended, sorted; empty for success."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], object]) -> str:
        try:
            barrier.wait()
            call()
        except FedStudyError as error:
            return error.code
        finally:
            connection.close()
        return ""

    with ThreadPoolExecutor(len(calls)) as pool:
        return sorted(pool.map(run, calls))


def test_a_token_is_spent_once() -> None:
    site, admin = new_site()
    node, token = expect_node(site=site, name="node", by=admin)
    results = at_once(*(lambda item=item: item.enrol(token) for item in (Hardware.new(), Hardware.new())))
    assert results == ["", "E_TOKEN"]
    assert Node.objects.get(pk=node.pk).state == "pending"


def test_a_sequence_number_is_spent_once() -> None:
    site, admin = new_site()
    node, _ = expect_node(site=site, name="node", by=admin)
    results = at_once(*(lambda: take_sequence(node=Node.objects.get(pk=node.pk), sequence=9) for _ in range(4)))
    assert results == ["", "E_SEQ", "E_SEQ", "E_SEQ"]

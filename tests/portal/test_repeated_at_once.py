"""Two requests at once with one idempotency key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from rest_framework.test import APIClient

from accounts.tokens import begin_program_session
from studies.lifecycle.models import Study
from tests.factories.accounts import UserFactory


@pytest.mark.django_db(transaction=True)
def test_a_request_that_is_still_in_work_is_told_so() -> None:
    client = APIClient()
    client.credentials(
        HTTP_AUTHORIZATION=f"Token {begin_program_session(user=UserFactory.create())[1]}", HTTP_IDEMPOTENCY_KEY="one"
    )

    def meanwhile() -> Any:
        try:
            return client.post("/api/v1/studies", {"title": "Lungs"}, format="json")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            first = client.post("/api/v1/studies", {"title": "Lungs"}, format="json")
            busy = pool.submit(meanwhile).result(timeout=30)
        again = pool.submit(meanwhile).result(timeout=30)
    assert (busy.status_code, busy.json()["code"]) == (409, "E_IDEMPOTENCY_BUSY")
    assert again.json() == first.json()
    assert Study.objects.count() == 1

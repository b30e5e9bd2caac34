"""Lists by key: every row once, whatever order, page size or neighbours; a key that is none is refused."""

from __future__ import annotations

import base64
import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Site
from portal.keysets import Keyset, UnknownKey

ORDERS = [("name", "id"), ("-name", "id"), ("-created_at", "id"), ("city", "-country", "id"), ("id",), ("-id",)]


@pytest.fixture
def sites(db: None) -> list[Site]:
    """Sites of which many share a city, a country and a moment."""
    now = timezone.now()
    rows = [
        Site(name=f"Site “{number}” \xa0é", short_name=f"s-{number}", city="AB"[number % 2], country="XYZ"[number % 3])
        for number in range(13)
    ]
    for number, row in enumerate(rows):
        row.created_at = now.replace(microsecond=number // 4)
    return Site.objects.bulk_create(rows)


@pytest.mark.parametrize("size", [1, 3, 12, 13, 50])
@pytest.mark.parametrize("ordering", ORDERS, ids=" ".join)
def test_every_row_comes_once_both_ways(ordering: tuple[str, ...], size: int, sites: list[Site]) -> None:
    keyset, rows = Keyset(ordering), Site.objects.all()
    page = keyset.page(rows, size)
    assert page.newer == ""
    seen, pages = [row.pk for row in page], [page]
    while page.older:
        page = keyset.page(rows, size, after=page.older)
        seen += [row.pk for row in page]
        pages.append(page)
    assert seen == list(rows.order_by(*ordering).values_list("pk", flat=True))
    for earlier in reversed(pages[:-1]):
        assert page.newer
        page = keyset.page(rows, size, before=page.newer)
        assert page.rows == earlier.rows
    assert page.newer == ""


def test_a_page_neither_skips_nor_counts(sites: list[Site]) -> None:
    keyset = Keyset(("name", "id"))
    first = keyset.page(Site.objects.all(), 2)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        keyset.page(Site.objects.all(), 2, after=first.older)
    (query,) = [item["sql"] for item in asked.captured_queries]
    assert "OFFSET" not in query
    assert "COUNT" not in query


def test_rows_that_come_and_go_shift_no_page(sites: list[Site]) -> None:
    keyset, rows = Keyset(("name", "id")), Site.objects.all()
    first = keyset.page(rows, 4)
    following = keyset.page(rows, 4, after=first.older).rows
    Site.objects.create(name="A new one", short_name="new")
    first.rows[-1].delete()
    assert keyset.page(rows, 4, after=first.older).rows == following


def key(*values: object) -> str:
    """A forged key."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


FORGED = [
    "nonsense", "²", "=", "a" * 3_000, key(), key("a"), key("a", "b"), key("a", "b", "c"), key(1, 2), key(None, None),
    key("a\0", "00000000-0000-4000-8000-000000000000"), key("\ud800", "00000000-0000-4000-8000-000000000000"),
    key("a" * 200, "00000000-0000-4000-8000-000000000000"),
    base64.urlsafe_b64encode(b'{"a": 1}').decode(), base64.urlsafe_b64encode(b"[" * 1_000).decode(),
]  # fmt: skip


@pytest.mark.parametrize("forged", FORGED)
def test_a_key_that_is_none_is_refused(forged: str, db: None) -> None:
    with pytest.raises(UnknownKey):
        Keyset(("name", "id")).page(Site.objects.all(), 5, after=forged)


@pytest.mark.parametrize("moment", ["2026-01-01", "2026-01-01 10:00", "yesterday", ""])
def test_a_moment_has_its_zone(moment: str, db: None) -> None:
    with pytest.raises(UnknownKey):
        Keyset(("-created_at", "id")).page(
            Site.objects.all(), 5, before=key(moment, "00000000-0000-4000-8000-000000000000")
        )


@given(text=st.text(max_size=60))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_text_is_more_than_refused(text: str, db: None) -> None:
    for ordering in (("name", "id"), ("-created_at", "id")):
        try:
            Keyset(ordering).page(Site.objects.all(), 5, after=key(text, "00000000-0000-4000-8000-000000000000"))
            Keyset(ordering).page(Site.objects.all(), 5, after=text)
        except UnknownKey:
            continue

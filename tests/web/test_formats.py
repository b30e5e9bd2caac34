"""Numbers and moments as people read them."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import translation
from django.utils.formats import date_format

from portal.web import formats

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "–"),
        (0, "0 ms"),
        (840.4, "840 ms"),
        (12_400, "12.4 s"),
        (200_000, "3 min 20 s"),
        (600_000, "10 min"),
        (7_200_000, "2 h"),
        (7_500_000, "2 h 5 min"),
    ],
)
def test_durations(milliseconds: float | None, text: str) -> None:
    assert formats.duration(milliseconds) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 s"), (45, "45 s"), (90, "1 min 30 s"), (3600, "1 h")])
def test_limits_in_seconds(count: int, text: str) -> None:
    assert formats.seconds(count) == text


@pytest.mark.parametrize(
    ("count", "text"), [(None, "–"), (0, "0 B"), (1023, "1023 B"), (10_035, "9.8 KiB"), (5 * 1024**3, "5.0 GiB")]
)
def test_sizes(count: int | None, text: str) -> None:
    assert formats.size(count) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (float("nan"), "–"), (float("inf"), "–"), (0, "0.000"), (0.8615, "0.862")]
)
def test_a_score_that_is_not_known_is_never_shown_as_zero(value: float | None, text: str) -> None:
    assert formats.score(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (-1, "1 s ago"), (-179, "2 min ago"), (20, "in 20 s"), (-90_000, "1 d ago"), (7200, "in 2 h")],
)
def test_relative_times(seconds: int, text: str) -> None:
    assert formats.ago(NOW + dt.timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00001, "0.00001"),
        (18.0, "18"),
        (100, "100"),
        (2147483647.0, "2147483647"),
        (True, "yes"),
        ("global", "global"),
    ],
)
def test_configuration_values(value: object, text: str) -> None:
    assert formats.value_text(value) == text


@pytest.mark.parametrize(("name", "text"), [("Ada Lovelace", "AL"), ("pi@example.org", "PO"), ("", "?"), ("Kim", "K")])
def test_initials(name: str, text: str) -> None:
    assert formats.initials(name) == text


@pytest.mark.parametrize("language", ["en-gb", "de"])
def test_moments_are_written_as_django_does(language: str) -> None:
    with translation.override(language):
        for month in range(1, 13):
            moment = dt.datetime(2026, month, 3, 7, 5, tzinfo=dt.UTC)
            assert formats.moment(moment) == date_format(moment, "j M Y, H:i")

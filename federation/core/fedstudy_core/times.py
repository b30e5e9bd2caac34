"""Times as signed documents write them: UTC, ISO 8601, whole seconds, a trailing Z."""

from __future__ import annotations

from datetime import UTC, datetime

from fedstudy_core.errors import Refusal

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def format_time(moment: datetime) -> str:
    """An aware time as text."""
    return moment.astimezone(UTC).strftime(_FORMAT)


def parse_time(text: str) -> datetime:
    """Raises Refusal E_FIELDS for any other form than `format_time` writes."""
    try:
        moment = datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise Refusal("E_FIELDS", f"“{text[:40]}” is not a time in UTC.") from error
    if format_time(moment) != text:
        raise Refusal("E_FIELDS", f"“{text[:40]}” is not a time in UTC.")
    return moment

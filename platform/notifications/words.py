"""What a notification says: a sentence with places, and the facts that stand in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from django.conf import settings
from django.utils.formats import date_format
from django.utils.translation import gettext, override


def told(words: str, facts: Mapping[str, str]) -> str:
    """The sentence in the present language; facts are names, but a `role` and a `day` (ISO 8601) are put in words."""
    return gettext(words).format(**{name: _worded(name, value) for name, value in facts.items()}).strip()


def in_english(words: str, facts: Mapping[str, str]) -> str:
    """The sentence as programs read it."""
    with override(settings.LANGUAGE_CODE):
        return told(words, facts)


def _worded(name: str, value: str) -> str:
    if name == "role":
        return gettext(value)
    return date_format(date.fromisoformat(value)) if name == "day" else value

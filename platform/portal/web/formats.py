"""Numbers, sizes, durations and moments as people read them."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from functools import lru_cache

from django.utils.dates import MONTHS_3
from django.utils.translation import get_language, gettext

MISSING = "–"


def duration(milliseconds: float | None) -> str:
    """A duration given in milliseconds: ``840 ms``, ``12.4 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if milliseconds is None:
        return MISSING
    if milliseconds < 1000:
        return f"{round(milliseconds)} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def seconds(count: float) -> str:
    """A limit in seconds as a duration: ``45 s``, ``10 min``, ``1 h``."""
    return f"{count:g} s" if count < 60 else duration(1000 * count)


def size(count: float | None) -> str:
    """Bytes in binary units: ``512 B``, ``9.8 KiB``, ``1.2 MiB``."""
    if count is None:
        return MISSING
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return MISSING


def score(value: float | None) -> str:
    """A metric to three decimals; what is not finite or not known is a dash, never a zero."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:.3f}"


def share(value: float | None) -> str:
    """A fraction as a percentage."""
    return MISSING if value is None or not math.isfinite(value) else f"{100 * value:.1f} %"


def value_text(value: object) -> str:
    """A configuration value as a person writes it: ``0.00001``, ``100``, ``yes``."""
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, float) and math.isfinite(value):
        return f"{Decimal(str(value)).normalize():f}"
    return str(value)


def initials(name: str) -> str:
    """Up to two letters that stand for a person."""
    words = [word for word in name.replace("@", " ").replace(".", " ").split() if word[0].isalpha()]
    chosen = words[:1] + words[-1:] if len(words) > 1 else words
    return "".join(word[0] for word in chosen).upper() or "?"


def ago(moment: dt.datetime | None, now: dt.datetime) -> str:
    """``3 min ago``, ``in 20 s`` or ``now``; the browser keeps it running."""
    if moment is None:
        return ""
    seconds = (moment - now).total_seconds()
    length = int(abs(seconds))
    if length < 1:
        return gettext("now")
    unit, each = next((unit, each) for unit, each in UNITS if length >= each)
    words = gettext("in {time}") if seconds > 0 else gettext("{time} ago")
    return words.format(time=f"{length // each} {unit}")


def moment(local: dt.datetime) -> str:
    """``3 Nov 2026, 14:05``, as Django writes it, which reads its pattern anew each time."""
    return f"{local.day} {_months(get_language())[local.month]} {local:%Y, %H:%M}"


@lru_cache
def _months(_language: str | None) -> dict[int, str]:
    """The months' short names in a language."""
    return {number: str(name).title() for number, name in MONTHS_3.items()}


UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))

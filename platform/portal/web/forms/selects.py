"""Selects of many choices."""

from __future__ import annotations

from html import escape
from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html
from django.utils.safestring import SafeString


class Select(forms.Select):
    """A select of hundreds of options, written at once instead of by a template for each."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        attributes = flatatt(self.build_attrs(attrs or {}, {"name": name}))
        return format_html("<select{}>{}</select>", attributes, self._options(str(value or "")))

    def _options(self, chosen: str) -> SafeString:
        return SafeString("".join(option_of(option, chosen) for option in self.choices))


def option_of(option: tuple[Any, Any], chosen: str | None) -> str:
    """A choice, or a group of them, as HTML."""
    value, label = option
    if isinstance(label, list | tuple):
        inside = "".join(option_of(item, chosen) for item in label)
        return f'<optgroup label="{escape(str(value))}">{inside}</optgroup>'
    selected = " selected" if str(value) == chosen else ""
    return f'<option value="{escape(str(value))}"{selected}>{escape(str(label))}</option>'

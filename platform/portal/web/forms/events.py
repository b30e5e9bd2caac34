"""Narrowing the log."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from functools import lru_cache
from html import escape
from itertools import groupby
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from audit.selectors import Narrowing
from portal.web.forms.selects import Select, option_of
from portal.web.presenters.events import AREAS, SENTENCES

Options = Sequence[tuple[str, str]]


class Kinds(Select):
    """The choice among areas and actions, which is the same for everybody: written once in each language."""

    def _options(self, chosen: str) -> SafeString:
        options, mark = _written_kinds(get_language()), f'<option value="{escape(chosen)}"'
        return SafeString(options.replace(f"{mark}>", f"{mark} selected>", 1))


@lru_cache
def _written_kinds(_language: str | None) -> str:
    return "".join(option_of(item, chosen=None) for item in [("", gettext("Everything")), *_kinds()])


def _kinds() -> list[tuple[str, Any]]:
    """Areas with their actions; an area is a choice of its own."""
    grouped = groupby(sorted(SENTENCES), lambda action: action.partition(":")[0])
    by_area = {area: sorted((gettext(SENTENCES[action]), action) for action in actions) for area, actions in grouped}
    return [
        (name, [(area, gettext("{area}: all").format(area=name)), *((key, words) for words, key in by_area[area])])
        for area, name in ((area, gettext(name)) for area, name in AREAS.items())
    ]


OUTCOMES = [("", _("All")), ("done", _("Done")), ("refused", _("Refused")), ("failed", _("Failed"))]


class EventFilterForm(forms.Form):
    """Which events to show; everything is optional."""

    q = forms.CharField(
        label=_("Words"), required=False, max_length=200, widget=forms.TextInput(attrs={"type": "search"})
    )
    kind = forms.CharField(label=_("What"), required=False, max_length=100, widget=Kinds)
    actor = forms.CharField(label=_("Who"), required=False, max_length=200)
    object = forms.CharField(label=_("Object"), required=False, max_length=200)
    study = forms.UUIDField(label=_("Study"), required=False, widget=Select)
    site = forms.UUIDField(label=_("Site"), required=False, widget=Select)
    outcome = forms.ChoiceField(label=_("Outcome"), required=False, choices=OUTCOMES, widget=Select)
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(
        label=pgettext_lazy("date", "To"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def __init__(self, *args: Any, studies: Options, sites: Options, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._offer("study", gettext("All studies"), studies)
        self._offer("site", gettext("All sites"), sites)

    def _offer(self, name: str, everything: str, options: Options) -> None:
        """Let somebody choose among several; what stands in the address is shown in any case."""
        asked = self.data.get(name, "")
        if not options and not asked:
            del self.fields[name]
            return
        known: Iterable[tuple[str, str]] = (
            options if asked in dict(options) or not asked else [*options, (asked, asked)]
        )
        self.fields[name].widget.choices = [("", everything), *known]

    @property
    def narrowing(self) -> Narrowing:
        """What is asked for; days are those of the reader's time zone. A field that does not fit leaves all."""
        if not self.is_bound:
            return Narrowing()
        self.full_clean()
        given = {name: value for name, value in self.cleaned_data.items() if value}
        since, until = given.pop("since", None), given.pop("until", None)
        return Narrowing(
            text=given.pop("q", ""),
            since=_begin(since) if since else None,
            until=_begin(until) + dt.timedelta(days=1) if until and until < dt.date.max else None,
            **given,
        )


def _begin(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), timezone.get_current_timezone())

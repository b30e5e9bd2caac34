"""When a schedule makes its run."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.utils.translation import gettext_lazy as _

from federation.runs.models import Run
from federation.runs.schedules import Timing
from portal.web.forms.selects import Select

WEEKDAYS = (_("Monday"), _("Tuesday"), _("Wednesday"), _("Thursday"), _("Friday"), _("Saturday"), _("Sunday"))


class ScheduleForm(forms.Form):
    """One of three kinds; the fields of the other kinds are ignored."""

    label = forms.CharField(
        label=_("Name of its runs"), max_length=100, required=False, help_text=_("The day is added to it.")
    )
    kind = forms.ChoiceField(
        label=_("When"),
        choices=[
            ("weekly", _("Every week, on the days and at the time below")),
            ("once", _("Once, at the moment below")),
            ("ready", _("Once, as soon as enough sites are there")),
        ],
        widget=forms.RadioSelect,
        initial="weekly",
    )
    weekdays = forms.TypedMultipleChoiceField(
        label=_("Days"),
        choices=list(enumerate(WEEKDAYS)),
        coerce=int,
        widget=forms.CheckboxSelectMultiple,
        required=False,
        initial=[0],
    )
    time = forms.TimeField(
        label=_("Time of day"), required=False, initial="02:00", widget=forms.TimeInput(attrs={"type": "time"})
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        initial="UTC",
        help_text=_("Changes between summer and winter are followed."),
        widget=Select,
    )
    at = forms.DateTimeField(
        label=_("Moment (UTC)"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
    )
    sites_needed = forms.IntegerField(label=_("Sites that must be there"), min_value=1, required=False)

    def __init__(self, data: Any = None, *, run: Run) -> None:
        super().__init__(data)
        sites = run.participants.count()
        self.fields["label"].initial = run.label[:100]
        self.fields["time_zone"].choices = [(name, name) for name in sorted(available_timezones())]  # type: ignore[attr-defined]
        self.fields["sites_needed"].initial = sites
        self.fields["sites_needed"].help_text = _("Of the plan's {sites}; at least its quorum, {quorum}.").format(
            sites=sites, quorum=run.quorum
        )

    @property
    def timing(self) -> Timing:
        """What the fields say."""
        data = self.cleaned_data
        return Timing(
            kind=data["kind"],
            at=data["at"],
            weekdays=data["weekdays"],
            time=data["time"],
            time_zone=data["time_zone"] or "UTC",
            sites_needed=data["sites_needed"],
        )

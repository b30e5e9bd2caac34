"""Creating a study, its protocol and its invitations."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts.models import Site
from portal.web.forms.selects import Select
from portal.web.presenters.levels import level_choices
from studies.enrolment.states import DEFAULT_LEVEL
from studies.lifecycle.services import PROTOCOL_BYTES


class StudyForm(forms.Form):
    """A study to be; whoever makes it becomes its principal investigator."""

    title = forms.CharField(label=_("Title"), max_length=200, help_text=_("What every list calls the study."))
    summary = forms.CharField(
        label=_("Summary"),
        max_length=5000,
        required=False,
        help_text=_("Two or three sentences that a site's board can read."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    aims = forms.CharField(
        label=_("Aims"),
        max_length=20000,
        required=False,
        help_text=_("The research question, and how its answer will be judged."),
        widget=forms.Textarea(attrs={"rows": 6}),
    )


class ProtocolForm(forms.Form):
    """The next version of the protocol document."""

    file = forms.FileField(
        label=_("Protocol"),
        max_length=200,
        help_text=format_lazy(
            _("PDF, Word (DOCX, without macros), OpenDocument (ODT), Markdown or plain text; at most {size} MiB."),
            size=PROTOCOL_BYTES // 2**20,
        ),
        widget=forms.ClearableFileInput(attrs={"accept": ".pdf,.docx,.odt,.md,.txt"}),
    )


class InvitationForm(forms.Form):
    """A site to invite and the level to ask for."""

    site = forms.ModelChoiceField(
        label=_("Site"), queryset=Site.objects.none(), empty_label=_("Choose a site"), widget=Select
    )
    level = forms.ChoiceField(
        label=_("Level of participation"),
        initial=DEFAULT_LEVEL,
        help_text=_("How much leaves the hospital. The site sees it before it answers."),
        widget=forms.RadioSelect,
        choices=level_choices,
    )

    def __init__(self, *args: Any, sites: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["site"].queryset = sites  # type: ignore[attr-defined]


class FirstSitesForm(forms.Form):
    """The sites to ask first, and the level to ask them for."""

    sites = forms.ModelMultipleChoiceField(
        label=_("Sites"),
        queryset=Site.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Each of them is told, and answers for itself."),
    )
    level = forms.ChoiceField(
        label=_("Level of participation"),
        initial=DEFAULT_LEVEL,
        widget=forms.RadioSelect,
        choices=level_choices,
    )

    def __init__(self, *args: Any, sites: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["sites"].queryset = sites.order_by("name")  # type: ignore[attr-defined]


class SiteForm(forms.Form):
    """A hospital or clinic to be."""

    name = forms.CharField(label=_("Name"), max_length=160)
    short_name = forms.SlugField(
        label=_("Short name"),
        max_length=40,
        help_text=_("Letters, digits and dashes; it stands in tables and in the log."),
    )
    city = forms.CharField(label=_("City"), max_length=80, required=False)
    country = forms.CharField(label=_("Country"), max_length=80, required=False)


class NodeForm(forms.Form):
    """A node that is expected."""

    name = forms.CharField(
        label=_("Name of the node"),
        max_length=63,
        help_text=_("Letters, digits, dots, dashes and underscores; the console asks for the same name."),
    )

"""Creating a study, its data dictionary and its invitations."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from accounts.models import Site
from fedstudy_core.dictionary import parse
from fedstudy_core.errors import FedStudyError
from portal.web.presenters.levels import OFFERED
from studies.enrolment.states import DEFAULT_LEVEL
from studies.lifecycle.services import PROTOCOL_BYTES

MAX_DICTIONARY = 1024 * 1024


class StudyForm(forms.Form):
    """A study to be; whoever makes it becomes its principal investigator."""

    title = forms.CharField(label="Title", max_length=200, help_text="What every list calls the study.")
    summary = forms.CharField(
        label="Summary",
        max_length=5000,
        required=False,
        help_text="Two or three sentences that a site's board can read.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    aims = forms.CharField(
        label="Aims",
        max_length=20000,
        required=False,
        help_text="What is to be found out, and how it will be judged.",
        widget=forms.Textarea(attrs={"rows": 6}),
    )


class ProtocolForm(forms.Form):
    """The next version of the protocol document."""

    file = forms.FileField(
        label="Protocol",
        max_length=200,
        help_text=f"Any kind of document, at most {PROTOCOL_BYTES // 2**20} MiB.",
    )


class DictionaryForm(forms.Form):
    """A data dictionary as a JSON file."""

    file = forms.FileField(
        label="Dictionary (JSON)",
        help_text='{"variables": [{"name": "age", "label": "Age", "type": "integer", "unit": "years", "min": 18, …}]}. '
        "Types: integer, number, categorical, boolean, date, text.",
        widget=forms.ClearableFileInput(attrs={"accept": ".json,application/json"}),
    )

    def clean_file(self) -> list[dict[str, Any]]:
        """The variables of the file, checked by the rules that the nodes use too."""
        upload: UploadedFile = self.cleaned_data["file"]
        if (upload.size or 0) > MAX_DICTIONARY:
            raise forms.ValidationError("A dictionary has at most 1 MiB.")
        try:
            value = json.loads(upload.read())
        except ValueError as error:
            raise forms.ValidationError(f"This is not JSON: {error}.") from error
        variables = value.get("variables") if isinstance(value, dict) else value
        try:
            parse({"variables": variables})
        except FedStudyError as error:
            sentences = [f"{problem.field}: {problem.detail}" for problem in error.errors]
            raise forms.ValidationError(sentences or [error.detail]) from error
        return list(variables or [])


class InvitationForm(forms.Form):
    """A site to invite and the level to ask for."""

    site = forms.ModelChoiceField(label="Site", queryset=Site.objects.none(), empty_label="Choose a site")
    level = forms.ChoiceField(
        label="Degree of federation",
        initial=DEFAULT_LEVEL,
        help_text="How much leaves the hospital. The site sees it before it answers.",
        widget=forms.RadioSelect,
        choices=[(level.code, f"{level.code} · {level.name}") for level in OFFERED],
    )

    def __init__(self, *args: Any, sites: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["site"].queryset = sites  # type: ignore[attr-defined]


class SiteForm(forms.Form):
    """A hospital or clinic to be."""

    name = forms.CharField(label="Name", max_length=160)
    short_name = forms.SlugField(
        label="Short name", max_length=40, help_text="Letters, digits and dashes; it stands in tables and in the log."
    )
    city = forms.CharField(label="City", max_length=80, required=False)
    country = forms.CharField(label="Country", max_length=80, required=False)


class NodeForm(forms.Form):
    """A node that is expected."""

    name = forms.CharField(
        label="Name of the node",
        max_length=63,
        help_text="Letters, digits, dots, dashes and underscores; the console asks for the same name.",
    )

"""Writing in a review."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from studies.scripts.reviews import LARGEST_LINE, LONGEST_TEXT

KINDS = [("question", _("Question to the investigators")), ("comment", _("Comment"))]


class AnswerForm(forms.Form):
    """A further text in a thread."""

    text = forms.CharField(
        label=_("Your answer"), max_length=LONGEST_TEXT, widget=forms.Textarea(attrs={"rows": 3}), strip=True
    )


class ThreadForm(forms.Form):
    """A question or comment, perhaps at a line of a file."""

    kind = forms.ChoiceField(label=_("Kind"), choices=KINDS, initial="question")
    path = forms.CharField(label=_("File"), max_length=400, required=False)
    line = forms.IntegerField(label=_("Line"), required=False, min_value=1, max_value=LARGEST_LINE)
    text = forms.CharField(
        label=_("Text"),
        max_length=LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("Seen by the investigators, all sites of the study, and its auditors. Name no patient."),
    )

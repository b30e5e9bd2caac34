"""The words of a model card, and asking for a release."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _


class CardForm(forms.Form):
    """What people add to a model card."""

    intended_use = forms.CharField(
        label=_("Intended use"),
        max_length=5000,
        required=False,
        help_text=_("For whom and for what; and what it is not for."),
        widget=forms.Textarea(attrs={"rows": 5}),
    )
    caveats = forms.CharField(
        label=_("Caveats"),
        max_length=5000,
        required=False,
        help_text=_("What somebody must know before they trust it: who is not in the data, what was not tested."),
        widget=forms.Textarea(attrs={"rows": 5}),
    )


class ReleaseForm(forms.Form):
    """Who gets a model, and what for."""

    round_number = forms.TypedChoiceField(label=_("Model"), coerce=int, widget=forms.RadioSelect)
    recipient = forms.CharField(
        label=_("Who gets it"),
        max_length=200,
        help_text=_("A person and their institution, a registry, or the public."),
    )
    purpose = forms.CharField(
        label=_("What for"),
        max_length=5000,
        help_text=_("The sites' data stewards decide by this and by the model card."),
        widget=forms.Textarea(attrs={"rows": 5}),
    )

    def __init__(self, *args: Any, models: list[tuple[int, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["round_number"].choices = models  # type: ignore[attr-defined]
        self.fields["round_number"].initial = models[0][0]

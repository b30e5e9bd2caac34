"""Seeds that are typed as whole numbers with commas between them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from federation.degrees.seeds import MOST_SEEDS


class SeedsField(forms.CharField):
    """Up to ten whole numbers; none when empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=200, required=False, **options)

    def to_python(self, value: Any) -> Any:
        """The numbers as a list."""
        words = (super().to_python(value) or "").replace(",", " ").split()
        if len(words) > MOST_SEEDS or not all(word.isdecimal() for word in words):
            raise forms.ValidationError(_("Up to ten whole numbers, with commas between them."))
        return [int(word) for word in words]


class MoreForm(forms.Form):
    """What is added to a comparison: seeds, or a strategy that leaves a part of the model at each site."""

    seeds = SeedsField()
    personalised = forms.CharField(max_length=40, required=False)

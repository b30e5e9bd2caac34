"""Where a study's news goes, and which."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from webhooks.kinds import WORDS


class WebhookForm(forms.Form):
    """An address and the kinds of news."""

    url = forms.CharField(
        label=_("Address"),
        max_length=500,
        widget=forms.URLInput(attrs={"placeholder": "https://", "autocomplete": "off"}),
        help_text=_("Of a server of yours that takes messages by POST, over https."),
    )
    kinds = forms.MultipleChoiceField(
        label=_("It is told when"),
        widget=forms.CheckboxSelectMultiple,
        choices=[(name, _(words)) for name, words in WORDS.items()],
        initial=["run.completed", "run.failed", "run.stopped", "approval.recorded", "approval.revoked"],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.use_required_attribute = False

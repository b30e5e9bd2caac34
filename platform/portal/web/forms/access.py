"""Asking for a role, and deciding on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.roles import Role


class CodeForm(forms.Form):
    """Where somebody wants to have a role."""

    code = forms.CharField(
        label=_("Join code"),
        max_length=40,
        help_text=_("Whoever gives roles in the study, or at the site, has one for you."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class AskForm(forms.Form):
    """Which role, and why."""

    code = forms.CharField(max_length=40, widget=forms.HiddenInput)
    role = forms.ChoiceField(label=_("Role"))
    reason = forms.CharField(
        label=_("Why"),
        max_length=500,
        help_text=_("Who you are and what you will do there, for those who decide."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, *args: Any, roles: Sequence[Role], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = [(role.value, gettext(role.label).capitalize()) for role in roles]  # type: ignore[attr-defined]

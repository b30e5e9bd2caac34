"""Codes and passkeys."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _


class FactorForm(forms.Form):
    """A code that an app shows, a recovery code, or in their place what a passkey answered."""

    code = forms.CharField(
        label=_("Code"),
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
        help_text=_("From your app, or one of your recovery codes."),
    )
    credential = forms.JSONField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].required = not self.data.get(self.add_prefix("credential"))

    def clean_credential(self) -> dict[str, Any] | None:
        given = self.cleaned_data["credential"]
        if given is not None and not (isinstance(given, dict) and given):
            raise forms.ValidationError(_("This is no passkey."))
        return given


class ShowForm(forms.Form):
    """The password of somebody who has no second factor."""

    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=128,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )


class NewFactorForm(FactorForm):
    """A factor that is to be added: the app's first code, or a new passkey with its name."""

    name = forms.CharField(label=_("Name of the passkey"), max_length=80, required=False, initial="Passkey")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].help_text = _("The six digits that the app shows now.")
        del self.fields["code"].widget.attrs["autofocus"]

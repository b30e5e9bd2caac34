"""Giving somebody a role."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.roles import Role


class AccountForm(forms.Form):
    """A person who has an account already."""

    email = forms.EmailField(label=_("E-mail"), max_length=254, help_text=_("Of the person's account at this portal."))


class RoleForm(AccountForm):
    """Who is to hold which role."""

    role = forms.ChoiceField(label=_("Role"))

    def __init__(self, *args: Any, roles: Sequence[Role], is_new: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_new:
            self.fields["email"].help_text = _("Of somebody who has no account at this portal.")
        choices = [(role.value, gettext(role.label).capitalize()) for role in roles]
        self.fields["role"].choices = choices  # type: ignore[attr-defined]


class NewcomerForm(forms.Form):
    """The account of somebody who was invited."""

    name = forms.CharField(label=_("Name"), max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=128,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 12 characters; several words are easier to remember than signs."),
    )

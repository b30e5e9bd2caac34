"""Giving somebody a role."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from accounts.roles import Role


class AccountForm(forms.Form):
    """A person who has an account already."""

    email = forms.EmailField(label="E-mail", max_length=254, help_text="Of the person's account at this portal.")


class RoleForm(AccountForm):
    """Who is to hold which role."""

    role = forms.ChoiceField(label="Role")

    def __init__(self, *args: Any, roles: Sequence[Role], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(role.value, role.label.capitalize()) for role in roles]
        self.fields["role"].choices = choices  # type: ignore[attr-defined]

"""Looking for people and nodes, and opening accounts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Site
from nodes.registry.states import NODE
from nodes.registry.versions import STANDINGS
from portal.web.forms.people import NewcomerForm
from portal.web.forms.selects import Select
from portal.web.presenters.status import status_of

STATES = [("", _("All")), ("open", _("Open")), ("closed", _("Closed"))]


class PeopleFilterForm(forms.Form):
    """Which accounts to show."""

    q = forms.CharField(
        label=_("Name or e-mail"), required=False, max_length=200, widget=forms.TextInput(attrs={"type": "search"})
    )
    state = forms.ChoiceField(label=_("Account"), required=False, choices=STATES)

    @property
    def is_active(self) -> bool | None:
        """Whether accounts that are open, or closed, are asked for."""
        return {"open": True, "closed": False}.get(self.cleaned_data.get("state", ""))


class MoveForm(forms.Form):
    """From which site a person goes to which."""

    origin = forms.ChoiceField(label=_("From"), help_text=_("All roles at this site end at once."))
    to = forms.ModelChoiceField(
        Site.objects.none(),
        label=_("To"),
        help_text=_("Its site admins are told, and give a role if they want to."),
        widget=Select,
    )

    def __init__(self, *args: Any, origins: Sequence[tuple[str, str]], sites: QuerySet[Site], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["origin"].choices = origins  # type: ignore[attr-defined]
        self.fields["to"].queryset = sites  # type: ignore[attr-defined]


def _choices(kind: str, states: Sequence[str]) -> list[tuple[str, str]]:
    return [("", gettext("All")), *((state, status_of(kind, state).label) for state in states)]


class NodeFilterForm(forms.Form):
    """Which nodes to show."""

    state = forms.ChoiceField(
        label=_("State"),
        required=False,
        choices=partial(_choices, "node", tuple(NODE.states)),
    )
    version = forms.ChoiceField(
        label=_("Version"),
        required=False,
        choices=partial(_choices, "standing", tuple(STANDINGS)),
    )


class NewAccountForm(NewcomerForm):
    """An account that an administrator opens for somebody."""

    email = forms.EmailField(label=_("E-mail"), max_length=254)
    is_platform_admin = forms.BooleanField(
        label=_("Platform administrator"),
        required=False,
        help_text=_("Manages accounts, sites and the platform, and holds no role in studies and at sites."),
    )
    field_order = ["name", "email", "password", "is_platform_admin"]

"""What people change of their own account."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiToken
from accounts.scopes import TokenScope
from portal.web.forms.selects import Select


class NameForm(forms.Form):
    """How the person wants to be called."""

    name = forms.CharField(label=_("Name"), max_length=120, help_text=_("Others see it beside what you do."))


class TimeZoneForm(forms.Form):
    """In which zone pages show times."""

    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        help_text=_("Pages show times in it; what programs and files get stays UTC."),
        widget=Select,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["time_zone"].choices = [(name, name) for name in sorted(available_timezones())]  # type: ignore[attr-defined]


class LanguageForm(forms.Form):
    """In which language pages are."""

    language = forms.ChoiceField(
        label=_("Language"),
        help_text=_("Of pages and e-mail. Error codes, the log, the API and files are in English."),
        choices=[("", _("As the browser asks")), ("en", "English"), ("de", "Deutsch")],
        widget=Select,
    )
    use_required_attribute = False


class PasswordForm(forms.Form):
    """A new password, and the present one where there is one."""

    current = forms.CharField(
        label=_("Present password"),
        strip=False,
        max_length=128,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    new = forms.CharField(
        label=_("New password"),
        strip=False,
        max_length=128,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 12 characters; several words are easier to remember than signs."),
    )

    def __init__(self, data: Any = None, *, is_first: bool) -> None:
        super().__init__(data)
        if is_first:
            del self.fields["current"]


def _scopes() -> list[tuple[str, str]]:
    return [(scope.value, gettext(scope.label)) for scope in TokenScope]


class TokenForm(forms.Form):
    """What a token is for, and for how long."""

    name = forms.CharField(label=_("Name"), max_length=80, help_text=_("What will use it, such as “nightly notebook”."))
    scopes = forms.MultipleChoiceField(
        label=_("It may"),
        widget=forms.CheckboxSelectMultiple,
        choices=_scopes,
    )
    days = forms.IntegerField(
        label=_("Good for how many days"), min_value=1, max_value=ApiToken.LONGEST.days, initial=30
    )

    def clean_scopes(self) -> set[TokenScope]:
        return {TokenScope(scope) for scope in self.cleaned_data["scopes"]}

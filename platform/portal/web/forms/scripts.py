"""Submitting a script version."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from federation.library.catalogue import ready_scripts
from portal.bundles import Built, bundle_of_library, bundle_of_upload


class ScriptForm(forms.Form):
    """A script from the library, or as an upload; the same name makes a new version."""

    name = forms.CharField(
        label=_("Name"), max_length=120, help_text=_("The name of a script of this study makes its next version.")
    )
    library = forms.ChoiceField(label=_("From the library"), required=False)
    bundle = forms.FileField(
        label=_("Or upload it"),
        required=False,
        help_text=_("A Flower bundle (.fab), or a .zip of the sources."),
        widget=forms.ClearableFileInput(attrs={"accept": ".fab,.zip"}),
    )

    replaces_previous = forms.ChoiceField(
        label=_("And the version before it"),
        choices=[
            ("yes", _("is replaced, site by site, as sites sign the new one")),
            ("no", _("stays in force beside it")),
        ],
        initial="yes",
        required=False,
        widget=forms.RadioSelect,
        help_text=_("For the next version of a script. Until a site signs, what it approved before stays in force."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        ready = [(script.name, script.title) for script in ready_scripts()]
        self.fields["library"].choices = [("", _("None, I upload one")), *ready]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Exactly one source."""
        data = super().clean() or self.cleaned_data
        if bool(data.get("library")) == bool(data.get("bundle")):
            raise forms.ValidationError(_("Choose a script of the library or upload one, not both."))
        return data

    def build(self) -> Built:
        """The bundle. Raises Refusal (E_BUNDLE...) where it does not fit."""
        library = self.cleaned_data["library"]
        return bundle_of_library(library) if library else bundle_of_upload(self.cleaned_data["bundle"])

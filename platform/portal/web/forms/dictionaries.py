"""Reading a data dictionary from a file, and writing one variable of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from fedstudy_core import dictionary_csv
from fedstudy_core.dictionary import MAX_VARIABLES, Variable
from fedstudy_core.dictionary_files import read_file
from fedstudy_core.errors import FedStudyError
from fedstudy_core.reading import Reading
from fedstudy_core.sheets import MAX_BYTES
from portal.web.advice import said

TYPES = (
    ("integer", _("integer: whole numbers")),
    ("number", _("number: with a fraction")),
    ("categorical", _("categorical: one of some codes")),
    ("boolean", _("boolean: true or false")),
    ("date", "date: YYYY-MM-DD"),
    ("text", "text"),
)
MOST_PROBLEMS = 50


class DictionaryForm(forms.Form):
    """A file with a data dictionary."""

    file = forms.FileField(
        label=_("File"),
        max_length=200,
        help_text=_("A table (CSV), the data dictionary of a REDCap project (CSV), or JSON."),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.json,text/csv,application/json"}),
    )

    def clean_file(self) -> Reading:
        """What the file holds; every cell that cannot be read is a sentence."""
        upload: UploadedFile = self.cleaned_data["file"]
        if (upload.size or 0) > MAX_BYTES:
            raise forms.ValidationError(
                _("A dictionary's file has at most {size} MiB.").format(size=MAX_BYTES // 2**20)
            )
        try:
            return read_file(upload.read())
        except FedStudyError as error:
            sentences = [f"{problem.field}: {said(problem.detail)}" for problem in error.errors]
            if len(sentences) > MOST_PROBLEMS:
                sentences = [
                    *sentences[:MOST_PROBLEMS],
                    _("And {number} more.").format(number=len(sentences) - MOST_PROBLEMS),
                ]
            raise forms.ValidationError([said(error.detail), *sentences]) from error


class TakenForm(forms.Form):
    """The variables of a file, as its reader has seen them."""

    variables = forms.JSONField()


class VariableForm(forms.Form):
    """One variable; codes and values for “missing” are written as in a table."""

    name = forms.CharField(
        label=_("Name"), max_length=64, help_text=_("As the column is called: letters, digits, underscores.")
    )
    label = forms.CharField(label=_("Label"), max_length=500, required=False, help_text=_("Words for people."))
    type = forms.ChoiceField(label=_("Type"), choices=TYPES)
    unit = forms.CharField(label=_("Unit"), max_length=60, required=False)
    min = forms.FloatField(label=_("Least plausible value"), required=False, help_text=_("Numbers only."))
    max = forms.FloatField(label=_("Greatest plausible value"), required=False)
    codes = forms.CharField(
        label=_("Codes"),
        max_length=20_000,
        required=False,
        strip=False,
        help_text=_("For categorical variables: 0 = no | 1 = yes, or only the values: mild | severe."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    implausible = forms.CharField(
        label=_("Values that mean “missing”"),
        max_length=2_000,
        required=False,
        strip=False,
        help_text=_("Such as 0 for a cholesterol that nobody measured: 0 | -9."),
    )
    required = forms.TypedChoiceField(
        label=_("Has to be there"),
        choices=[("yes", _("In every row")), ("no", _("May be missing"))],
        coerce=lambda word: word == "yes",
        initial="yes",
    )
    identifier = forms.TypedChoiceField(
        label=_("Names a patient"),
        choices=[("no", _("No")), ("yes", _("Yes: no script may see it"))],
        coerce=lambda word: word == "yes",
        initial="no",
    )
    position = forms.IntegerField(label=_("Position"), min_value=1, max_value=MAX_VARIABLES)

    def clean_codes(self) -> list[dict[str, Any]]:
        """The codes as plain values."""
        try:
            return dictionary_csv.read_codes(self.cleaned_data["codes"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    def clean_implausible(self) -> list[Any]:
        """The values as plain values."""
        try:
            return dictionary_csv.read_missing(self.cleaned_data["implausible"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    @property
    def variable(self) -> dict[str, Any]:
        """The variable as plain values."""
        return {name: value for name, value in self.cleaned_data.items() if name != "position"}


def filled_from(item: dict[str, Any], variables: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A variable as the form's fields show it."""
    variable = Variable.model_validate(item)
    return {
        **item,
        "min": dictionary_csv.write_number(variable.min),
        "max": dictionary_csv.write_number(variable.max),
        "codes": dictionary_csv.write_codes(variable),
        "implausible": dictionary_csv.write_missing(variable),
        "required": "yes" if variable.required else "no",
        "identifier": "yes" if variable.identifier else "no",
        "position": list(variables).index(item) + 1,
    }

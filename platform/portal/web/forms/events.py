"""Narrowing the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms


class EventFilterForm(forms.Form):
    """Which events to show; everything is optional."""

    study = forms.ChoiceField(label="Study", required=False)
    area = forms.ChoiceField(
        label="Area",
        required=False,
        choices=[
            ("", "All areas"),
            ("accounts", "People and sites"),
            ("lifecycle", "Studies"),
            ("dictionary", "Data"),
            ("enrolment", "Enrolments"),
            ("scripts", "Scripts and approvals"),
            ("registry", "Nodes"),
            ("runs", "Runs"),
        ],
    )
    outcome = forms.ChoiceField(
        label="Outcome",
        required=False,
        choices=[("", "All"), ("done", "Done"), ("refused", "Refused"), ("failed", "Failed")],
    )

    def __init__(self, *args: Any, studies: Sequence[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if studies:
            self.fields["study"].choices = [("", "All studies"), *studies]  # type: ignore[attr-defined]
        else:
            del self.fields["study"]

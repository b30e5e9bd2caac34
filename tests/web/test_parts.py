"""Parts of pages on their own: lists of what waits, fields, the entry of the bar, marks of a plot."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import UUID

import pytest
from django import forms
from django.template.loader import render_to_string

from portal.web.presenters.degree_plot import MARKS, marks_between
from portal.web.presenters.navigation import main_navigation
from portal.web.templatetags.fedstudy import field


def _waits(number: int) -> str:
    every = [SimpleNamespace(icon="clock", party="Site", text=f"wait {place}", href="") for place in range(number)]
    return render_to_string("components/waits.html", {"waits": every})


@pytest.mark.parametrize(("number", "hidden"), [(6, 0), (7, 1), (20, 14)])
def test_a_long_list_of_what_waits_shows_its_beginning(number: int, hidden: int) -> None:
    open_, _, rest = _waits(number).partition("<details")
    assert (open_.count("<li>"), rest.count("<li>")) == (number - hidden, hidden)
    assert (f"Show {hidden} more" in rest) is bool(hidden)


@pytest.mark.parametrize("is_cut", [True, False])
def test_a_list_of_runs_that_ends_early_says_where_the_others_are(is_cut: bool) -> None:
    row = {
        "href": "/",
        "label": "First",
        "state": "draft",
        "committed": 0,
        "total": 1,
        "value": None,
        "created_at": None,
    }
    shown = {"study": SimpleNamespace(id=UUID(int=1)), "runs": [row], "has_older_runs": is_cut}
    assert ("Older ones stand under" in render_to_string("studies/_runs.html", shown)) is is_cut


def test_a_list_that_always_has_a_choice_is_not_called_optional() -> None:
    class Chosen(forms.Form):
        always = forms.ChoiceField(required=False, choices=[("a", "A"), ("b", "B")])
        perhaps = forms.ChoiceField(required=False, choices=[("", "none"), ("a", "A")])
        words = forms.CharField(required=False)

    form = Chosen()
    assert [field(form[name])["optional"] for name in ("always", "perhaps", "words")] == [False, True, True]


@pytest.mark.parametrize("part", ["studies", "runs", "releases", "pool-consents", "degrees"])
def test_what_belongs_to_a_study_stands_under_studies(part: str) -> None:
    entries = main_navigation(f"/{part}/{UUID(int=1)}", sees_sites=True, sees_log=True)
    assert [entry.label for entry in entries if entry.current] == ["Studies"]


@pytest.mark.parametrize(
    ("first", "last", "marks"),
    [
        (0.5, 1.0, (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)),
        (0.3, 1.0, (0.3, 0.5, 0.7, 0.9)),
        (-0.1, 0.2, (-0.1, 0.0, 0.1, 0.2)),
        (0.0, 3.4, (0.0, 1.0, 2.0, 3.0)),
    ],
)
def test_marks_of_a_plot_are_whole_tenths(first: float, last: float, marks: tuple[float, ...]) -> None:
    assert marks_between(first, last) == marks
    assert len(marks) <= MARKS + 1

"""The style guide, in demo and test only."""

from __future__ import annotations

from django import forms
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from portal.web.presenters.examples import examples


class ExampleForm(forms.Form):
    """One field of each kind."""

    title = forms.CharField(label="Title", help_text="What the study is called in every list.")
    summary = forms.CharField(label="Summary", widget=forms.Textarea(attrs={"rows": 3}), required=False)
    rounds = forms.IntegerField(label="Rounds", min_value=1, max_value=500)
    strategy = forms.ChoiceField(label="Strategy", choices=[("fedavg", "FedAvg"), ("fedprox", "FedProx")])
    level = forms.ChoiceField(
        label="Level",
        widget=forms.RadioSelect,
        choices=[("F1", "F1 · Aggregate statistics"), ("F2", "F2 · Model updates")],
    )


@require_GET
def styleguide(request: HttpRequest) -> HttpResponse:
    """Every component with made-up values; it does not exist in production."""
    if settings.FEDSTUDY_PROFILE == "production":
        raise Http404
    form = ExampleForm({"title": "", "rounds": 0, "level": "F2"})
    return render(request, "styleguide/index.html", {"form": form, **examples()})

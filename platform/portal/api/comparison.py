"""Runs of a study side by side."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from federation.runs.comparing import FEWEST, MOST, Metric, compare_runs
from federation.runs.results import note_view
from portal.api.base import Input, Output, PersonRequest, Resource, describe
from studies.lifecycle import selectors as study_selectors


class ComparisonQuery(Input):
    """Which runs."""

    runs = serializers.CharField(max_length=400, help_text=f"Ids of {FEWEST} to {MOST} runs, with commas between them")

    def validate_runs(self, text: str) -> list[UUID]:
        """The ids that the text names."""
        try:
            return [UUID(part.strip()) for part in text.split(",")]
        except ValueError:
            raise serializers.ValidationError("Ids of runs, with commas between them.") from None


class ComparedRunOut(Output):
    id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]
    state = serializers.CharField()


class SettingOut(Output):
    name = serializers.CharField()
    values = serializers.ListField(child=serializers.JSONField(allow_null=True))


class CurveByRoundOut(Output):
    rounds = serializers.ListField(child=serializers.IntegerField())
    values = serializers.ListField(child=serializers.FloatField())


class ComparedMetricOut(Output):
    name = serializers.CharField()
    better = serializers.CharField(help_text="higher or lower; empty where no run says which")
    last = serializers.ListField(child=serializers.FloatField(allow_null=True))
    best = serializers.ListField(child=serializers.FloatField(allow_null=True))
    best_round = serializers.ListField(child=serializers.IntegerField(allow_null=True))
    curves = serializers.SerializerMethodField(help_text="All sites together, by round")

    @extend_schema_field(CurveByRoundOut(many=True))
    def get_curves(self, metric: Metric) -> list[dict[str, Any]]:
        return [{"rounds": list(line), "values": list(line.values())} for line in metric.curves]


class SiteScoreOut(Output):
    value = serializers.FloatField()
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class ComparedSiteOut(Output):
    name = serializers.CharField(help_text="The metric; area for that under the curve, with its interval")
    site = serializers.CharField(help_text="Empty for all sites together")
    scores = serializers.ListField(child=SiteScoreOut(allow_null=True))


class EffortOut(Output):
    rounds = serializers.IntegerField()
    median_round_ms = serializers.IntegerField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    bytes_sent = serializers.IntegerField()
    bytes_received = serializers.IntegerField()


class ComparisonOut(Output):
    """Every list has an entry for each run, in the order of `runs`."""

    runs = ComparedRunOut(many=True)
    settings = SettingOut(many=True, help_text="Those that differ")
    metrics = ComparedMetricOut(many=True)
    sites = ComparedSiteOut(many=True)
    efforts = EffortOut(many=True)


class StudyComparison(Resource):
    """A study's runs beside each other."""

    selector = staticmethod(study_selectors.visible_to)
    output = ComparisonOut

    @describe(
        "Runs side by side: settings that differ, results, time and bytes",
        output=ComparisonOut,
        parameters=[ComparisonQuery],
    )
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        ids = self.query(ComparisonQuery)["runs"]
        found = compare_runs(study=self.row(id), ids=ids, by=request.user)
        for run in found.runs:
            note_view(run=run, by=request.user)
        return self.answer(found)

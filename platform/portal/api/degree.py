"""How much of a study is federated: the share of its rows that stay at their hospitals."""

from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response

from portal.api.base import Output, PersonRequest, Resource, describe
from studies.enrolment.degree import degree_of
from studies.enrolment.models import Enrolment
from studies.lifecycle import selectors as lifecycle


class SiteShareOut(Output):
    site = serializers.CharField()
    site_id = serializers.UUIDField()
    level = serializers.CharField()
    rows_band = serializers.CharField(help_text="Of the dataset that it offers; empty where none is known")
    local = serializers.FloatField(help_text="Share of its rows that stay, from 0 to 1")


class LevelMoveOut(Output):
    at = serializers.DateTimeField()
    site = serializers.CharField()
    old = serializers.CharField(help_text="Empty where the site began")
    new = serializers.CharField()
    degree = serializers.FloatField(allow_null=True, help_text="Of the study from then on")


class DegreeOut(Output):
    value = serializers.FloatField(
        allow_null=True,
        help_text="Share of the study's rows that stay at their hospitals: 1 is fully federated, 0 centralised. A site"
        " counts with the middle of the band of its rows; null while none are known",
    )
    sites = SiteShareOut(many=True)
    moves = LevelMoveOut(many=True)


class StudyDegree(Resource):
    """One study's degree of federation."""

    selector = staticmethod(lifecycle.visible_to)
    output = DegreeOut

    @describe("The study's degree of federation, now and over time", output=DegreeOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        study = self.row(id)
        rows = Enrolment.objects.filter(study=study).select_related("site", "dataset").order_by("site__name")
        return Response(DegreeOut(degree_of(study, list(rows))).data)

"""The runs that used a site's data, for the site's people."""

import hashlib
from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response

from accounts.selectors import visible_sites
from federation.runs.models import Participation
from federation.runs.uses import uses_of
from portal.api.base import Input, Output, PersonRequest, Resource, describe


class UsesQuery(Input):
    """Which exchanges."""

    dataset = serializers.UUIDField(required=False)
    run = serializers.UUIDField(required=False)


class UseOut(Output):
    """One exchange of a run with the site: what came in, what left."""

    run = serializers.UUIDField(source="round.run_id")
    run_label = serializers.CharField(source="round.run.label")
    study = serializers.UUIDField(source="round.run.study_id")
    study_title = serializers.CharField(source="round.run.study.title")
    script_sha256 = serializers.CharField(source="round.run.version.sha256")
    dataset = serializers.UUIDField(source="approval.dataset_id", default=None, allow_null=True)
    dataset_name = serializers.CharField(source="approval.dataset.name", default="")
    round = serializers.IntegerField(source="round.number")
    phase = serializers.CharField()
    state = serializers.CharField()
    code = serializers.CharField()
    rows = serializers.IntegerField(source="examples", allow_null=True)
    bytes_in = serializers.IntegerField(source="bytes_sent")
    bytes_out = serializers.IntegerField(source="bytes_received")
    metrics = serializers.SerializerMethodField(help_text="Names of the metrics that left")
    content_sha256 = serializers.CharField(help_text="Of the packed answer")
    receipt_sha256 = serializers.SerializerMethodField(help_text="Of the node's signed account; empty without one")
    asked_at = serializers.DateTimeField()
    answered_at = serializers.DateTimeField(allow_null=True)

    def get_metrics(self, item: Participation) -> list[str]:
        return sorted(item.metrics)

    def get_receipt_sha256(self, item: Participation) -> str:
        return hashlib.sha256(bytes(item.receipt)).hexdigest() if item.receipt else ""


class SiteUses(Resource):
    """What runs did with a site's data."""

    selector = staticmethod(visible_sites)
    output = UseOut

    @describe("What runs did with the site's data, newest first", output=UseOut, many=True, parameters=[UsesQuery])
    def list(self, request: PersonRequest, id: UUID) -> Response:
        wanted = self.query(UsesQuery)
        named = {"dataset": "approval__dataset", "run": "round__run"}
        rows = uses_of(self.row(id), by=request.user)
        return self.page(rows.filter(**{named[name]: value for name, value in wanted.items()}), ordering=("-id",))

"""The health check that load balancers and the dev stack ask, and what administrators see of the platform."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_GET
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts.permissions import Permission, check
from federation.runs.models import PRIORITIES
from federation.runs.overview import overview
from federation.runs.states import RUN
from nodes.registry.models import Node
from nodes.registry.versions import STANDINGS, spread
from portal import health
from portal.api.base import Output, PersonRequest, describe


class PartOut(Output):
    """A part of the platform; `at` is when it was last heard of, where that is how it is judged."""

    name = serializers.CharField()
    state = serializers.ChoiceField(choices=health.STATES)
    detail = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)


class SoftwareOut(Output):
    """A piece of software; `standing` is to the portal's version."""

    name = serializers.CharField()
    version = serializers.CharField()
    standing = serializers.ChoiceField(choices=STANDINGS)


class SpreadOut(Output):
    """How many nodes run a version of the agent."""

    version = serializers.CharField()
    standing = serializers.ChoiceField(choices=STANDINGS)
    nodes = serializers.IntegerField()


class HealthOut(Output):
    """How the platform is."""

    parts = PartOut(many=True)
    software = SoftwareOut(many=True)
    nodes = SpreadOut(many=True)


class WorkOut(Output):
    """A run under way or queued, as who keeps the platform going sees it: no result, script or configuration."""

    id = serializers.UUIDField()
    study = serializers.CharField()
    state = serializers.ChoiceField(choices=RUN.states)
    priority = serializers.ChoiceField(choices=PRIORITIES)
    rounds = serializers.IntegerField()
    committed = serializers.IntegerField()
    queued_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    place = serializers.IntegerField(help_text="In the queue, from 1; 0 where its turn has come")
    waits_for = serializers.ListField(child=serializers.CharField())
    driven = serializers.BooleanField(help_text="Whether a worker holds it")


class QueueOut(Output):
    """The first hundred runs of each kind, in order, and how many there are."""

    running = WorkOut(many=True)
    queued = WorkOut(many=True)
    running_count = serializers.IntegerField()
    queued_count = serializers.IntegerField()


@require_GET
def healthz(request: HttpRequest) -> JsonResponse:
    """200 with `{"status": "ok"}`, or 503 that names what does not answer."""
    checks = {"database": health.database_answers(), "redis": health.redis_answers()}
    healthy = all(checks.values())
    body = {"status": "ok" if healthy else "failing", "checks": checks}
    return JsonResponse(body, status=200 if healthy else 503)


class Platform(ViewSet):
    """What platform administrators see of the platform."""

    @describe("Show how the platform is", output=HealthOut)
    def health(self, request: PersonRequest) -> Response:
        check(request.user, Permission.HEALTH_VIEW)
        found: dict[str, Any] = {
            "parts": health.parts(),
            "software": health.software(),
            "nodes": spread(Node.objects.all(), settings.FEDSTUDY_VERSION),
        }
        return Response(HealthOut(found).data)

    @describe("Show the runs under way and the queue", output=QueueOut)
    def queue(self, request: PersonRequest) -> Response:
        check(request.user, Permission.HEALTH_VIEW)
        return Response(QueueOut(overview(timezone.now())).data)

"""The audit log."""

import json
from typing import Any

from rest_framework import serializers
from rest_framework.response import Response

from audit.models import Event
from federation.runs import selectors as runs
from portal.api.base import Input, Output, PersonRequest, Resource, describe


class EventOut(Output):
    """One entry of the audit log."""

    id = serializers.UUIDField(source="event_id")
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    actor_label = serializers.CharField()
    action = serializers.CharField()
    object_type = serializers.CharField()
    object_id = serializers.CharField()
    object_label = serializers.CharField()
    study = serializers.CharField(help_text="Id, or empty")
    site = serializers.CharField(help_text="Id, or empty")
    outcome = serializers.ChoiceField(choices=["done", "refused", "failed"])
    detail = serializers.SerializerMethodField()

    def get_detail(self, event: Event) -> dict[str, Any]:
        """What else is known, by name."""
        value: dict[str, Any] = json.loads(event.detail)
        return value


class Narrowing(Input):
    """Which events."""

    study = serializers.UUIDField(required=False)
    site = serializers.UUIDField(required=False)
    object = serializers.CharField(max_length=64, required=False)
    action = serializers.CharField(max_length=100, required=False)


class Events(Resource):
    """Events of studies and sites that the user may audit."""

    selector = staticmethod(runs.events_for)
    output = EventOut
    ordering = ("-id",)

    @describe("List events, newest first", output=EventOut, many=True, parameters=[Narrowing])
    def list(self, request: PersonRequest) -> Response:
        wanted = self.query(Narrowing)
        rows = self.rows()
        if "study" in wanted:
            rows = rows.filter(study=str(wanted["study"]))
        if "site" in wanted:
            rows = rows.filter(site=str(wanted["site"]))
        if "object" in wanted:
            rows = rows.filter(object_id=wanted["object"])
        if "action" in wanted:
            rows = rows.filter(action=wanted["action"])
        return self.page(rows)

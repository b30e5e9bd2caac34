"""The audit log."""

import json
from typing import Any

from rest_framework import serializers
from rest_framework.response import Response

from audit.models import Event
from audit.presenters import context_of
from audit.readings import note_log_read
from audit.selectors import Narrowing, narrowed
from federation.runs import selectors as runs
from portal.api.base import Input, Output, PersonRequest, Resource, describe
from studies.lifecycle.selectors import visible_to as visible_studies


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
    context = serializers.SerializerMethodField()  # type: ignore[assignment]  # a field's context is another thing

    def get_detail(self, event: Event) -> dict[str, Any]:
        """What else is known, by name."""
        value: dict[str, Any] = json.loads(event.detail)
        return value

    def get_context(self, event: Event) -> dict[str, Any]:
        """How the actor showed who they are, from where, in which request, by which software; empty where unknown."""
        return context_of(event)


class EventQuery(Input):
    """Which events."""

    study = serializers.UUIDField(required=False)
    site = serializers.UUIDField(required=False)
    object = serializers.CharField(max_length=64, required=False, help_text="Id, or words of its name")
    actor = serializers.CharField(max_length=100, required=False, help_text="As in an entry, or words of a name")
    action = serializers.CharField(max_length=100, required=False, help_text="area:subject:action, or an area alone")
    outcome = serializers.ChoiceField(choices=["done", "refused", "failed"], required=False)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False, help_text="The first moment that is too late")
    q = serializers.CharField(max_length=200, required=False, help_text="Words of who, what, object and details")


class Events(Resource):
    """Events of studies and sites that the user may audit."""

    selector = staticmethod(runs.events_for)
    output = EventOut
    ordering = ("-id",)

    @describe("List events, newest first", output=EventOut, many=True, parameters=[EventQuery])
    def list(self, request: PersonRequest) -> Response:
        wanted = self.query(EventQuery)
        asked = visible_studies(request.user).filter(pk=wanted["study"]).first() if "study" in wanted else None
        note_log_read(by=request.user, study=asked)
        wanted |= {"kind": wanted.pop("action", ""), "text": wanted.pop("q", "")}
        return self.page(narrowed(self.rows(), Narrowing(**wanted)))

"""Schedules: runs that begin by themselves, from the plan of another run."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response

from federation.runs import schedules, selectors
from portal.api.base import Input, Output, PersonRequest, Resource, describe
from studies.lifecycle import selectors as study_selectors


class NewSchedule(Input):
    kind = serializers.CharField(max_length=8, help_text="once, weekly or ready")
    label = serializers.CharField(max_length=120, required=False, allow_blank=True)  # type: ignore[assignment]
    at = serializers.DateTimeField(required=False, help_text="once: when")
    weekdays = serializers.ListField(
        child=serializers.IntegerField(), required=False, help_text="weekly: 0 for Monday to 6 for Sunday"
    )
    time = serializers.TimeField(required=False, help_text="weekly: the time of day")
    time_zone = serializers.CharField(max_length=64, required=False, help_text="weekly: such as Europe/Rome")
    sites_needed = serializers.IntegerField(
        required=False, help_text="ready: how many of the plan's sites must be there"
    )


class ScheduleOut(Output):
    id = serializers.UUIDField()
    study = serializers.UUIDField(source="template.study_id")
    template = serializers.UUIDField(source="template_id", help_text="The run whose plan is used")
    label = serializers.CharField()  # type: ignore[assignment]
    state = serializers.CharField()
    kind = serializers.CharField()
    weekdays = serializers.ListField(child=serializers.IntegerField())
    time = serializers.TimeField(allow_null=True)
    time_zone = serializers.CharField()
    sites_needed = serializers.IntegerField()
    next_at = serializers.DateTimeField(allow_null=True)
    last_at = serializers.DateTimeField(allow_null=True)
    last_run = serializers.UUIDField(source="last_run_id", allow_null=True)
    last_problem = serializers.CharField(help_text="Why no run was made when it was due last")
    created_at = serializers.DateTimeField()


class RunSchedules(Resource):
    """The schedules that use one run's plan."""

    selector = staticmethod(selectors.runs_for)
    output = ScheduleOut

    @describe("Have new runs made from this run's plan", input=NewSchedule, output=ScheduleOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        run = self.row(id)
        values: dict[str, Any] = self.read(NewSchedule)
        label = values.pop("label", "")
        timing = schedules.Timing(**values)
        made = schedules.create_schedule(run=run, timing=timing, label=label, by=request.user)
        return self.answer(made, status=201)


class StudySchedules(Resource):
    """The schedules of one study."""

    selector = staticmethod(study_selectors.visible_to)
    output = ScheduleOut

    @describe("The study's schedules, newest first", output=ScheduleOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        return self.page(selectors.schedules_for(request.user).filter(template__study=self.row(id)))


class Schedules(Resource):
    selector = staticmethod(selectors.schedules_for)
    output = ScheduleOut

    @describe("One schedule", output=ScheduleOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(self.row(id))

    @describe("Make no runs until it is resumed", output=ScheduleOut)
    def suspend(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(schedules.suspend_schedule(schedule=self.row(id), by=request.user))

    @describe("Make runs again, from now on", output=ScheduleOut)
    def resume(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(schedules.resume_schedule(schedule=self.row(id), by=request.user))

    @describe("Make no more runs; those that were made stay", output=ScheduleOut)
    def end(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(schedules.end_schedule(schedule=self.row(id), by=request.user))

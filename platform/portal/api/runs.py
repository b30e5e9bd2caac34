"""Runs: plan, start, watch and stop them; their rounds, results and models."""

from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from accounts.permissions import Permission, check
from audit import selectors as audit_selectors
from federation.dossiers.services import dossier_name, make_dossier
from federation.runs import lineage, queue, results, selectors, services
from federation.runs.models import Participation, Run
from federation.runs.obstacles import obstacles
from federation.runs.roles import PHASES_OF
from portal.api.audit import EventOut
from portal.api.base import Input, Output, PersonRequest, Resource, describe, find
from portal.api.evaluation import EvaluationOut
from portal.api.names import NameOut
from portal.downloads import file_response, zip_stream
from studies.lifecycle import selectors as study_selectors
from studies.scripts import selectors as script_selectors


class ConfigValueField(serializers.Field[Any, Any, Any, Any]):
    """A number, a text, true or false."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, bool | int | float | str):
            raise serializers.ValidationError("A number, a text, true or false.")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class NewRun(Input):
    version = serializers.UUIDField()
    label = serializers.CharField(max_length=120, required=False, allow_blank=True)  # type: ignore[assignment]
    strategy = serializers.CharField(max_length=40, required=False)
    strategy_parameters = serializers.DictField(child=ConfigValueField(), required=False)
    config = serializers.DictField(child=ConfigValueField(), required=False)
    rounds = serializers.IntegerField(required=False)
    exchanges = serializers.IntegerField(required=False, help_text="Most exchanges of a script's own ServerApp")
    sites = serializers.ListField(
        child=serializers.UUIDField(),
        required=False,
        help_text="Ids of enrolments, or of their sites; all ready ones when left out",
    )
    validators = serializers.ListField(  # type: ignore[assignment]
        child=serializers.UUIDField(),
        required=False,
        help_text="Those of the sites that only test the model, though their level allows more",
    )
    quorum = serializers.IntegerField(required=False)
    deadline_s = serializers.IntegerField(required=False)
    wait_s = serializers.IntegerField(required=False)
    priority = serializers.CharField(max_length=8, required=False, help_text="low, normal or high")
    transport = serializers.CharField(
        max_length=8, required=False, help_text="How arrays travel: float32 (as they are) or float16 (in 16 bits)"
    )
    metric = serializers.CharField(
        max_length=100, required=False, allow_blank=True,
        help_text="By which the best round is chosen; the script's headline when left out, none when empty",
    )  # fmt: skip
    better = serializers.CharField(max_length=8, required=False, help_text="higher or lower")
    patience = serializers.IntegerField(
        required=False, help_text="Evaluated rounds without gain after which the run ends; 0 for never"
    )
    min_delta = serializers.FloatField(required=False, help_text="A gain has to be larger than this")


class Fork(NewRun):
    """A fork's plan; what is left out is as in the run that it comes from."""

    version = None  # type: ignore[assignment]
    round = serializers.IntegerField(min_value=0, help_text="The committed round whose model it begins with")


class Pause(Input):
    at_once = serializers.BooleanField(
        required=False, default=False, help_text="Do not wait for the round at work; the sites end what they do"
    )


class Priority(Input):
    priority = serializers.CharField(max_length=8, help_text="low, normal or high")


class Reason(Input):
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class RoundQuery(Input):
    round = serializers.IntegerField(required=False, min_value=0)
    best = serializers.BooleanField(required=False, default=False, help_text="The best round instead of the last")


class RunOut(Output):
    id = serializers.UUIDField()
    study = serializers.UUIDField(source="study_id")
    version = serializers.UUIDField(source="version_id")
    label = serializers.CharField()  # type: ignore[assignment]
    state = serializers.CharField()
    reason_code = serializers.CharField()
    reason = serializers.CharField()
    strategy = serializers.CharField()
    strategy_parameters = serializers.DictField()
    config = serializers.DictField()
    rounds = serializers.IntegerField()
    committed = serializers.IntegerField(source="committed_rounds", help_text="Rounds that are committed")
    quorum = serializers.IntegerField()
    deadline_s = serializers.IntegerField()
    wait_s = serializers.IntegerField()
    priority = serializers.CharField()
    transport = serializers.CharField(help_text="How arrays travel: float32 (as they are) or float16")
    metric = serializers.CharField()
    better = serializers.CharField()
    patience = serializers.IntegerField()
    min_delta = serializers.FloatField()
    best_round = serializers.IntegerField(allow_null=True, help_text="By the metric, so far")
    ends_after = serializers.IntegerField(
        allow_null=True, help_text="The round at which a plateau ended the run, or will"
    )
    parent = serializers.UUIDField(  # type: ignore[assignment]
        source="parent_id", allow_null=True, help_text="The run that it was forked from"
    )
    parent_round = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    queued_at = serializers.DateTimeField(allow_null=True)
    admitted_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class ObstacleOut(Output):
    site = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class HindranceOut(Output):
    site = serializers.CharField(help_text="Empty for the study itself")
    limit = serializers.IntegerField(help_text="Runs at a time")
    sentence = serializers.CharField()


class PlaceOut(Output):
    number = serializers.IntegerField()
    length = serializers.IntegerField(help_text="Runs in the queue")
    waits_for = HindranceOut(many=True)


class RunSiteOut(NameOut):
    level = serializers.CharField(help_text="When the run was planned; lower where the site's has fallen meanwhile")
    role = serializers.ChoiceField(
        choices=list(PHASES_OF), help_text="What it is asked for: it trains, adds to exact sums, or tests the model"
    )


class RunDetailOut(RunOut):
    place = serializers.SerializerMethodField(help_text="Where it stands in the queue")
    sites = serializers.SerializerMethodField(help_text="The sites that take part, in the run's order")
    forks = serializers.SerializerMethodField(help_text="Runs that were forked from this one")
    committed = serializers.SerializerMethodField(help_text="Rounds that are committed")  # type: ignore[assignment]
    missing = serializers.SerializerMethodField(help_text="What is missing before the run can start")

    @extend_schema_field(PlaceOut(allow_null=True))
    def get_place(self, run: Run) -> dict[str, Any] | None:
        place = queue.place_of(run)
        return None if place is None else dict(PlaceOut(place).data)

    @extend_schema_field(RunSiteOut(many=True))
    def get_sites(self, run: Run) -> list[dict[str, Any]]:
        return [
            {**NameOut(item.enrolment.site).data, "level": item.level, "role": item.role}
            for item in run.participants.select_related("enrolment__site")
        ]

    def get_forks(self, run: Run) -> list[UUID]:
        return list(run.forks.order_by("created_at").values_list("pk", flat=True))

    def get_committed(self, run: Run) -> int:
        return run.round_set.filter(state="committed", number__gt=0).count()

    def get_missing(self, run: Run) -> list[dict[str, str]]:
        return [asdict(item) for item in obstacles(run)] if run.state == "draft" else []


class ParticipationOut(Output):
    site = serializers.CharField(source="participant.enrolment.site.name")
    role = serializers.CharField(source="participant.role", help_text="The site's part in the run")
    phase = serializers.CharField()
    state = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()
    examples = serializers.IntegerField()
    metrics = serializers.DictField()
    bytes_sent = serializers.IntegerField()
    bytes_received = serializers.IntegerField()
    duration_ms = serializers.IntegerField(allow_null=True)
    rounding = serializers.DictField(
        child=serializers.DictField(),
        help_text="What narrowing did to the numbers “sent” and “received”: the largest difference (absolute), the"
        " largest as a share of the value (relative), and how many became zero (vanished)",
    )
    receipt = serializers.SerializerMethodField(help_text="The node's signed account (DSSE, JSON)")

    def get_receipt(self, item: Participation) -> str:
        return bytes(item.receipt).decode("ascii")


class RoundOut(Output):
    number = serializers.IntegerField()
    state = serializers.CharField()
    phase = serializers.CharField()
    deadline_at = serializers.DateTimeField(allow_null=True)
    model_in = serializers.CharField(source="model_in.sha256", default="")
    model_out = serializers.CharField(source="model_out.sha256", default="")
    metrics = serializers.DictField()
    bytes_sent = serializers.IntegerField()
    bytes_received = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    committed_at = serializers.DateTimeField()
    duration_ms = serializers.IntegerField(allow_null=True)
    sites = ParticipationOut(source="participations", many=True)


class ResultFileOut(Output):
    name = serializers.CharField()
    form = serializers.CharField(help_text="parameters (safetensors), or other: bytes that nobody interprets")
    sha256 = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes")


class CurveOut(Output):
    auc = serializers.FloatField()
    false_positive_rates = serializers.ListField(child=serializers.FloatField())
    true_positive_rates = serializers.ListField(child=serializers.FloatField())


class SiteResultOut(Output):
    site = serializers.CharField()
    site_id = serializers.CharField()
    round = serializers.IntegerField()
    examples = serializers.IntegerField(help_text="Rows that the site trained on")
    metrics = serializers.DictField()


class AwaitedOut(Output):
    site = serializers.CharField()
    phase = serializers.CharField()
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    level = serializers.CharField(help_text="That the site's node has still to take up; empty where it is not that")


class ResultsOut(Output):
    committed = serializers.IntegerField()
    total = serializers.IntegerField()
    headline = serializers.CharField()
    median_round_ms = serializers.IntegerField(allow_null=True)
    awaited = AwaitedOut(many=True)
    sites = SiteResultOut(many=True)
    pooled = serializers.DictField()
    curve = CurveOut(allow_null=True)
    evaluation = EvaluationOut(allow_null=True, help_text="Of the newest test with score histograms; null without such")


def _names(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a plan with the sites' ids as texts."""
    named = {key: [str(site) for site in values[key]] for key in ("sites", "validators") if key in values}
    return values | named


class StudyRuns(Resource):
    """The runs of one study."""

    selector = staticmethod(study_selectors.visible_to)
    output = RunOut

    @describe("The study's runs, newest first", output=RunOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        return self.page(selectors.with_committed(selectors.runs_for(request.user).filter(study=self.row(id))))

    @describe("Plan a run", input=NewRun, output=RunDetailOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        study = self.row(id)
        values = self.read(NewRun)
        version = find(script_selectors.versions_visible_to(request.user), values.pop("version"))
        plan = services.Plan(**_names(values))
        run = services.create_run(study=study, version=version, plan=plan, by=request.user)
        return self.answer(run, RunDetailOut, status=201)


class Runs(Resource):
    selector = staticmethod(selectors.runs_for)
    output = RunDetailOut

    @describe("One run", output=RunDetailOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(self.row(id))

    @describe("Queue the run: it begins when its turn has come and its sites are there", output=RunDetailOut)
    def start(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(services.start_run(run=self.row(id), by=request.user))

    @describe("Pause the run after the round at work, or at once", input=Pause, output=RunDetailOut)
    def pause(self, request: PersonRequest, id: UUID) -> Response:
        run = services.pause_run(run=self.row(id), by=request.user, at_once=self.read(Pause)["at_once"])
        return self.answer(run)

    @describe("Let a paused, failed or stopped run go on after its last committed round", output=RunDetailOut)
    def resume(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(services.resume_run(run=self.row(id), by=request.user))

    @describe("Plan a run that begins with the model of a committed round", input=Fork, output=RunDetailOut, status=201)
    def fork(self, request: PersonRequest, id: UUID) -> Response:
        run, values = self.row(id), self.read(Fork)
        number = values.pop("round")
        plan = lineage.plan_of_fork(run, number)
        if "sites" in values:
            plan = replace(plan, validators=())
        if values.keys() & {"sites", "validators"}:
            plan = replace(plan, quorum=None)
        plan = replace(plan, **_names(values))
        return self.answer(lineage.fork_run(run=run, round_number=number, plan=plan, by=request.user), status=201)

    @describe("Give a run that has not begun another priority", input=Priority, output=RunDetailOut)
    def prioritise(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(queue.set_priority(run=self.row(id), by=request.user, **self.read(Priority)))

    @describe("End the run, also before it begins; committed rounds stay", input=Reason, output=RunDetailOut)
    def stop(self, request: PersonRequest, id: UUID) -> Response:
        run = services.stop_run(run=self.row(id), by=request.user, reason=self.read(Reason)["reason"])
        return self.answer(run)

    @describe("The run's rounds with what each site did", output=RoundOut, many=True)
    def rounds(self, request: PersonRequest, id: UUID) -> Response:
        rows = selectors.rounds_of(self._with_results(request, id))
        return self.page(rows, RoundOut, ordering=("number", "id"))

    @describe("Results after the last committed round, by site and for all", output=ResultsOut)
    def results(self, request: PersonRequest, id: UUID) -> Response:
        run = self._with_results(request, id)
        return self.answer(selectors.run_summary(run, selectors.rounds_of(run)), ResultsOut)

    @describe("What happened in the run", output=EventOut, many=True)
    def events(self, request: PersonRequest, id: UUID) -> Response:
        rows = audit_selectors.for_object("run", self._with_results(request, id).pk)
        return self.page(rows, EventOut, ordering=("-id",))

    @describe(
        "The parameters after a round, the last one by default (safetensors)", output=bytes, parameters=[RoundQuery]
    )
    def model(self, request: PersonRequest, id: UUID) -> HttpResponse:
        wanted, run = self.query(RoundQuery), self.row(id)
        number = results.best_round(run) if wanted["best"] else wanted.get("round")
        model = results.find_model(run=run, round_number=number, by=request.user)

        def content() -> HttpResponse:
            _, tensors = results.fetch_model(run=run, round_number=model.round_number, by=request.user)
            return file_response(f"{model.sha256[:12]}.safetensors", tensors)

        return self.fetched(model.sha256, content)

    @describe("What the script's own ServerApp left", output=ResultFileOut, many=True)
    def files(self, request: PersonRequest, id: UUID) -> Response:
        return self.page(self._with_results(request, id).files.all(), ResultFileOut, ordering=("name", "id"))

    @describe("One of these files, as the ServerApp wrote it", output=bytes)
    def file(self, request: PersonRequest, id: UUID, sha256: str) -> HttpResponse:
        found, content = results.fetch_file(run=self.row(id), sha256=sha256, by=request.user)
        return file_response(found.safe_name, content)

    @describe(
        "The run's dossier, once it has ended: what was planned, approved, done and found, with what proves it",
        output=bytes,
        media_type="application/zip",
    )
    def dossier(self, request: PersonRequest, id: UUID) -> HttpResponseBase:
        run = self.row(id)
        return zip_stream(request._request, dossier_name(run), make_dossier(run=run, by=request.user))

    def _with_results(self, request: PersonRequest, id: UUID) -> Run:
        run: Run = self.row(id)
        check(request.user, Permission.RESULTS_VIEW, run.study)
        results.note_view(run=run, by=request.user)
        return run

"""Comparisons of degrees of federation: one plan, trained by each site alone, by all, and on pooled rows."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from federation.degrees import selectors, services
from federation.degrees.kinds import KINDS, WANTED
from federation.degrees.measuring import Measured, measure
from federation.degrees.models import DegreeComparison
from federation.degrees.personal import personal_strategies
from federation.degrees.reckoning import DegreeRow, reckon
from federation.degrees.seeds import MOST_SEEDS
from federation.runs import selectors as run_selectors
from federation.runs.services import Plan
from portal.api.base import Flag, Input, Output, PersonRequest, Resource, describe, find
from portal.api.comparison import ComparedRunOut
from portal.api.runs import ConfigValueField
from studies.lifecycle import selectors as study_selectors
from studies.scripts import selectors as script_selectors

OWN_FIELDS = ("wish", "label", "start")
OF_COMPARISON = ("id", "study_id", "version_id", "label", "kinds", "seeds", "personalised", "plan", "created_at")


class Wanted(Input):
    kinds = serializers.ListField(
        child=serializers.ChoiceField(choices=WANTED), required=False, min_length=1,
        help_text="Ways of training that are wanted; all when left out",
    )  # fmt: skip
    seeds = serializers.ListField(
        child=serializers.IntegerField(), required=False, min_length=1, max_length=MOST_SEEDS,
        help_text="Each way of training is run once for each of them; that of the plan alone when left out",
    )  # fmt: skip
    start = Flag(required=False, default=True, help_text="Start the runs at once")

    def to_internal_value(self, data: Any) -> Any:
        """`kinds` and `seeds` are one wish."""
        values = super().to_internal_value(data)
        given = {name: values.pop(name) for name in ("kinds", "seeds") if name in values}
        return {**values, "wish": services.Wish(**given)}


class More(Input):
    seeds = serializers.ListField(
        child=serializers.IntegerField(), required=False, default=list, max_length=MOST_SEEDS,
        help_text="To be added to those of the comparison",
    )  # fmt: skip
    personalised = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, default=list, max_length=5,
        help_text="Strategies of `offered`, by which all sites are to train besides",
    )  # fmt: skip


class NewDegreeComparison(Wanted):
    """What all runs of the comparison share; left out is what a run has by default."""

    version = serializers.UUIDField()
    label = serializers.CharField(max_length=80, required=False, allow_blank=True)  # type: ignore[assignment]
    strategy = serializers.CharField(max_length=40, required=False)
    strategy_parameters = serializers.DictField(child=ConfigValueField(), required=False)
    config = serializers.DictField(child=ConfigValueField(), required=False)
    rounds = serializers.IntegerField(required=False)
    deadline_s = serializers.IntegerField(required=False)
    wait_s = serializers.IntegerField(required=False)
    priority = serializers.CharField(max_length=8, required=False, help_text="low, normal or high")
    transport = serializers.CharField(max_length=8, required=False, help_text="float32 or float16")


class MetricQuery(Input):
    metric = serializers.CharField(
        max_length=100, required=False, default="", help_text="The script's headline when left out"
    )


class FigureOut(Output):
    value = serializers.FloatField()
    low = serializers.FloatField(allow_null=True, help_text="Of the interval of 95 %")
    high = serializers.FloatField(allow_null=True)
    rows = serializers.IntegerField(help_text="Test rows that it stands on")
    replicates = serializers.IntegerField(help_text="Of the bootstrap; 0 for a closed form, or no interval")
    seeds = serializers.IntegerField(help_text="Whose mean it is; of differences taken seed by seed")
    deviation = serializers.FloatField(allow_null=True, help_text="Of the seeds' values; null of a single one")


class DegreeComparisonOut(Output):
    id = serializers.UUIDField()
    study = serializers.UUIDField(source="study_id")
    version = serializers.UUIDField(source="version_id")
    label = serializers.CharField()  # type: ignore[assignment]
    kinds = serializers.ListField(child=serializers.CharField())
    seeds = serializers.ListField(
        child=serializers.IntegerField(),
        help_text="Each way of training is run once for each of them",
    )
    personalised = serializers.ListField(
        child=serializers.CharField(), help_text="Strategies of its runs that leave a part of the model at each site"
    )
    plan = serializers.DictField(help_text="What all its runs share")
    created_at = serializers.DateTimeField()


class DegreeRunOut(Output):
    kind = serializers.ChoiceField(choices=KINDS, source="entry.kind")
    site = serializers.SerializerMethodField(help_text="Who trains alone, or is left out; empty for the other kinds")
    seed = serializers.IntegerField(source="entry.seed", allow_null=True)
    run = ComparedRunOut()

    @extend_schema_field(serializers.CharField())
    def get_site(self, item: Measured) -> str:
        return item.entry.enrolment.site.name if item.entry.enrolment else ""


class DegreeRowOut(Output):
    """Lists of figures stand in the order of `sites`; of alone and left-out each site's is of its own model."""

    kind = serializers.ChoiceField(choices=KINDS)
    strategy = serializers.CharField(help_text="Of its first run; a site alone is averaged with nobody")
    runs = serializers.SerializerMethodField()
    seeds = serializers.ListField(
        child=serializers.IntegerField(allow_null=True), help_text="Of which it has tests so far"
    )
    pooled_sites = serializers.ListField(child=serializers.CharField(), help_text="Whose rows lay at the pool node")
    degree = serializers.FloatField(
        allow_null=True, help_text="Share of the rows trained on that stayed at their sites"
    )
    sites = serializers.ListField(child=FigureOut(allow_null=True))
    weighted = FigureOut(allow_null=True, help_text="Mean of the sites, weighted by test rows")
    ranking = FigureOut(allow_null=True, help_text="AUC of all test rows in one ranking; null for other metrics")
    gains = serializers.ListField(child=FigureOut(allow_null=True), help_text="Less the base row's, paired")
    weighted_gain = FigureOut(allow_null=True)
    ranking_gain = FigureOut(allow_null=True, help_text="Without an interval: no site can draw from others' rows")
    trained = serializers.ListField(
        child=serializers.IntegerField(), min_length=2, max_length=2,
        help_text="Rows on which a model was trained: the fewest and the most of the row's runs",
    )  # fmt: skip
    exposed = serializers.IntegerField(help_text="Rows that had left their sites")
    seconds = serializers.FloatField(help_text="Of all its runs of a seed, from start to end; the mean over seeds")
    bytes = serializers.IntegerField(help_text="Sent to sites and back; the mean over seeds")

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_runs(self, row: DegreeRow) -> list[str]:
        return [str(item.run.pk) for item in row.runs]


class PersonalisedOut(Output):
    strategy = serializers.CharField()
    figure = FigureOut(allow_null=True, help_text="Of the model of which the site keeps a part")
    over_own = FigureOut(allow_null=True, help_text="That model less the one that the site trained alone")


class ContributionOut(Output):
    site = serializers.CharField()
    rows = serializers.IntegerField(help_text="Rows tested")
    own = FigureOut(allow_null=True, help_text="Of the model that the site trained alone")
    shared = FigureOut(allow_null=True, help_text="Of the base row's model")
    over_own = FigureOut(allow_null=True, help_text="The shared model less its own")
    over_pooled = FigureOut(allow_null=True, help_text="The shared model less that of pooled rows")
    personalised = PersonalisedOut(many=True, help_text="Models of which it keeps a part, one for each such strategy")
    unseen = FigureOut(allow_null=True, help_text="Of the model that the others trained without it")
    over_unseen = FigureOut(allow_null=True, help_text="What its own rows bring to itself")
    to_others = FigureOut(allow_null=True, help_text="What its rows bring to the other sites")
    is_worse = serializers.BooleanField(help_text="The shared model is worse for it than its own")
    is_clearly = serializers.BooleanField(help_text="The difference's interval leaves out 0")


class LackingOut(Output):
    kind = serializers.ChoiceField(choices=KINDS)
    reason = serializers.CharField(
        help_text="no_pool: no rows are pooled; still_local: these sites train at home; pooled_away: these sites' own"
        " nodes only test; too_few: fewer sites train than that needs"
    )
    sites = serializers.ListField(child=serializers.CharField())


class HinderedOut(Output):
    run = serializers.UUIDField(source="run.pk")
    code = serializers.CharField()
    detail = serializers.CharField()


class DegreesOut(DegreeComparisonOut):
    """A comparison with its tables, as far as its runs are completed."""

    metric = serializers.CharField()
    better = serializers.CharField(help_text="higher or lower")
    metrics = serializers.ListField(child=serializers.CharField(), help_text="Of which there could be tables")
    sites = serializers.ListField(child=serializers.CharField())
    base = serializers.CharField(help_text="Kind of the row with which the others are compared; empty for none yet")
    same_rows = serializers.BooleanField(help_text="Each site tested equally many rows in all runs")
    rows = DegreeRowOut(many=True)
    contributions = ContributionOut(many=True)
    runs = DegreeRunOut(many=True)
    lacking = LackingOut(many=True, help_text="Ways of training that the study does not allow now")
    offered = serializers.ListField(
        child=serializers.CharField(),
        help_text="Strategies that leave a part of the model at each site, suit the script and are not in it yet",
    )
    hindered = HinderedOut(many=True, help_text="Runs that could not be started just now")


class DegreesBase(Resource):
    def tables(
        self, comparison: DegreeComparison, *, hindered: list[services.Hindered], metric: str = "", status: int = 200
    ) -> Response:
        """A comparison with its tables as an answer."""
        found = reckon(comparison, measure(comparison), metric)
        about = {name: getattr(comparison, name) for name in OF_COMPARISON}
        more = {"lacking": selectors.lacking_in(found), "hindered": hindered}
        more["offered"] = [item.name for item in personal_strategies(comparison)]
        return self.answer({**vars(found), **about, **more}, DegreesOut, status=status)

    def made(self, comparison: DegreeComparison, start: bool, request: PersonRequest) -> Response:
        """A new comparison as an answer, its runs started where that is wanted."""
        hindered = services.start_comparison(comparison=comparison, by=request.user) if start else []
        return self.tables(comparison, hindered=hindered, status=201)


class StudyDegreeComparisons(DegreesBase):
    """The comparisons of one study."""

    selector = staticmethod(study_selectors.visible_to)
    output = DegreeComparisonOut

    @describe("The study's comparisons of degrees of federation, newest first", output=DegreeComparisonOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        return self.page(selectors.comparisons_for(request.user).filter(study=self.row(id)))

    @describe("Compare degrees of federation", input=NewDegreeComparison, output=DegreesOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        study, values = self.row(id), self.read(NewDegreeComparison)
        version = find(script_selectors.versions_visible_to(request.user), values.pop("version"))
        own: dict[str, Any] = {name: values.pop(name) for name in OWN_FIELDS if name in values}
        start = own.pop("start")
        made = services.create_comparison(study=study, version=version, plan=Plan(**values), by=request.user, **own)
        return self.made(made, start, request)


class RunDegreeComparisons(DegreesBase):
    """The comparison by the plan of one run."""

    selector = staticmethod(run_selectors.runs_for)
    output = DegreesOut

    @describe("Compare degrees of federation by the run's plan", input=Wanted, output=DegreesOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        run, values = self.row(id), self.read(Wanted)
        start = values.pop("start")
        return self.made(services.compare_run(run=run, by=request.user, **values), start, request)


class DegreeComparisons(DegreesBase):
    selector = staticmethod(selectors.comparisons_for)
    output = DegreesOut

    @describe("A comparison with its tables", output=DegreesOut, parameters=[MetricQuery])
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        made, metric = self.row(id), self.query(MetricQuery)["metric"]
        services.note_view(comparison=made, by=request.user)
        return self.tables(made, hindered=[], metric=metric)

    @describe(
        "Plan what has become possible, and start what has not begun, failed or was stopped",
        input=More,
        output=DegreesOut,
    )
    def start(self, request: PersonRequest, id: UUID) -> Response:
        comparison, values = self.row(id), self.read(More)
        hindered = services.start_comparison(comparison=comparison, by=request.user, **values)
        return self.tables(self.row(id), hindered=hindered)

"""Planning and starting the runs of a comparison. They are runs like all others: queued, resumed, stopped as these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import transaction

from accounts.models import User
from accounts.permissions import Permission, check
from audit.readings import note_daily
from audit.services import record
from federation.degrees.kinds import PERSONALISED, WANTED
from federation.degrees.measuring import BOOTSTRAP
from federation.degrees.models import DegreeComparison, DegreeEntry
from federation.degrees.outline import Outline, Shape, outline_of, personal_shapes, shape_of
from federation.degrees.personal import check_personal
from federation.degrees.seeds import SEED, checked_seeds, own_seed
from federation.runs.lineage import plan_of
from federation.runs.models import Run
from federation.runs.phases import OWN_SERVER
from federation.runs.roles import TRAINS
from federation.runs.services import Plan, create_run, start_run
from fedstudy_core.errors import FedStudyError, FieldProblem, Invalid
from studies.lifecycle.models import Study
from studies.lifecycle.services import check_under_way
from studies.scripts.models import ScriptVersion

MOST_RUNS, LABEL_LENGTH = 120, 80
LONGEST_SITE, LONGEST_LABEL = 30, 120  # of a run's label
REPLICATES = 200  # of a script that draws its test rows anew, for intervals of differences
TO_START = ("draft", "failed", "stopped")
OF_ITS_SITES = ("label", "sites", "validators", "quorum")  # what a plan says of one run alone


@dataclass(frozen=True)
class Hindered:
    """A run that could not be started, and why."""

    run: Run
    code: str
    detail: str


@dataclass(frozen=True)
class Wish:
    """What is to be compared.

    Attributes:
        kinds: ways of training that are wanted (`federation.degrees.kinds`).
        seeds: each way is run once for each of them; that of the plan alone when None.
    """

    kinds: Sequence[str] = WANTED
    seeds: Sequence[int] | None = None


def create_comparison(
    *, study: Study, version: ScriptVersion, plan: Plan, wish: Wish = Wish(), label: str = "", by: User
) -> DegreeComparison:
    """Plan the runs of a comparison; nothing is sent to any site yet.

    Args:
        plan: what all runs share; whom it names as sites is left aside.

    Raises:
        Invalid: E_INVALID, E_TOO_FEW_SITES where none of them is possible now, and what `create_run` raises.
        Conflict: as `create_run`.
    """
    return _create(study=study, version=version, plan=plan, wish=wish, label=label, source=None, by=by)


def compare_run(*, run: Run, wish: Wish = Wish(), by: User) -> DegreeComparison:
    """The same by the plan of a run, which takes its place in the comparison where all sites tested it.

    It does so also where its way of training is not possible any more: levels changed, or rows were pooled.

    Raises: as `create_comparison`.
    """
    plan, label = plan_of(run), run.label
    return _create(study=run.study, version=run.version, plan=plan, wish=wish, label=label, source=run, by=by)


@transaction.atomic
def _create(
    *,
    study: Study,
    version: ScriptVersion,
    plan: Plan,
    wish: Wish,
    label: str,
    source: Run | None,
    by: User,
) -> DegreeComparison:
    check(by, Permission.RUN_START, study)
    _check_kinds(wish.kinds)
    if version.declaration.get("server") == "own":
        raise Invalid("E_STRATEGY", "The script's own ServerApp asks whom it likes: no site can be held to testing.")
    plan = _with_replicates(plan, version)
    comparison = DegreeComparison.objects.create(
        study=study,
        version=version,
        label=(label or f"{version.script.name} v{version.number}")[:LABEL_LENGTH],
        kinds=[kind for kind in WANTED if kind in wish.kinds],
        seeds=_seeds_of(version, plan, wish),
        plan={name: value for name, value in asdict(plan).items() if name not in OF_ITS_SITES},
        created_by=by,
    )
    runs = _plan_missing(comparison, by, source)
    detail = {"version": version.sha256, "kinds": comparison.kinds, "seeds": comparison.seeds}
    detail |= {"runs": [str(run.pk) for run in runs]}
    record(action="degrees:comparison:created", actor=by, obj=comparison, study=study.pk, detail=detail)
    return comparison


def _seeds_of(version: ScriptVersion, plan: Plan, wish: Wish) -> list[int]:
    if wish.seeds is not None:
        return checked_seeds(wish.seeds, version)
    own = own_seed(version, plan.config)
    return [] if own is None else [own]


def _with_replicates(plan: Plan, version: ScriptVersion) -> Plan:
    """The plan with bootstrap replicates at the sites, where the script can draw them and none are asked for."""
    config = dict(plan.config or {})
    if config.get(BOOTSTRAP) or all(item["name"] != BOOTSTRAP for item in version.parameters):
        return plan
    return replace(plan, config=config | {BOOTSTRAP: REPLICATES})


def _check_kinds(kinds: Sequence[str]) -> None:
    if not kinds or not set(kinds) <= set(WANTED):
        words = f"One or more of {', '.join(WANTED)}."
        raise Invalid("E_INVALID", words, errors=[FieldProblem("kinds", "E_INVALID", words)])


@transaction.atomic
def extend_comparison(
    *, comparison: DegreeComparison, seeds: Sequence[int] = (), personalised: Sequence[str] = (), by: User
) -> list[Run]:
    """Plan the runs that have become possible since: after a level changed, or rows were pooled.

    Args:
        seeds: that are to be added to the comparison's; those that it has already stay as they are.
        personalised: the same of strategies that leave a part of the model at each site.

    Returns none where nothing has. Raises Conflict (E_STATE) in a study that is over, and as `create_comparison`.
    """
    locked = DegreeComparison.objects.select_for_update(of=("self",)).select_related("study", "version")
    comparison = locked.get(pk=comparison.pk)
    check(by, Permission.RUN_START, comparison.study)
    check_under_way(comparison.study, "and takes no more runs")
    added = [seed for seed in seeds if seed not in comparison.seeds]
    tried = [name for name in dict.fromkeys(personalised) if name not in comparison.personalised]
    try:
        with transaction.atomic():
            _add_seeds(comparison, added)
            _add_personal(comparison, tried)
            runs = _plan_missing(comparison, by, None)
    except _NothingNew:
        return []
    detail = {"runs": [str(run.pk) for run in runs], "seeds": added, "personalised": tried}
    record(action="degrees:comparison:extended", actor=by, obj=comparison, study=comparison.study_id, detail=detail)
    return runs


def _add_seeds(comparison: DegreeComparison, added: Sequence[int]) -> None:
    if added:
        comparison.seeds = checked_seeds([*comparison.seeds, *added], comparison.version)
        comparison.save(update_fields=["seeds"])


def _add_personal(comparison: DegreeComparison, tried: Sequence[str]) -> None:
    if tried:
        check_personal(comparison, tried)
        if not personal_shapes(outline_of(comparison.study), tried):
            raise Invalid(
                "E_TOO_FEW_SITES", "Personalised runs need two sites or more, and that all of them train at home."
            )
        comparison.personalised = [*comparison.personalised, *tried]
        comparison.save(update_fields=["personalised"])


class _NothingNew(Invalid):
    """No way of training that is wanted is possible now, other than those that are there."""


def start_comparison(
    *, comparison: DegreeComparison, seeds: Sequence[int] = (), personalised: Sequence[str] = (), by: User
) -> list[Hindered]:
    """Plan what has become possible, and queue every run that has not begun, failed or was stopped.

    Returns the runs that could not be started; the log notes each try.
    """
    extend_comparison(comparison=comparison, seeds=seeds, personalised=personalised, by=by)
    entries = comparison.entries.filter(run__state__in=TO_START).select_related("run__study", "run__version__script")
    hindered = []
    for entry in entries:
        try:
            start_run(run=entry.run, by=by)
        except FedStudyError as error:
            hindered.append(Hindered(entry.run, error.code, error.detail))
    return hindered


def note_view(*, comparison: DegreeComparison, by: User) -> None:
    """Note in the log that somebody looks at what came of a comparison; once for each person, comparison and day."""
    note_daily(action="degrees:comparison:viewed", by=by, obj=comparison, study=comparison.study_id)


@transaction.atomic
def note_export(*, comparison: DegreeComparison, file: str, by: User) -> None:
    """Note in the log that somebody took a comparison away as a file. Raises Forbidden (E_FORBIDDEN)."""
    check(by, Permission.RESULTS_VIEW, comparison.study)
    detail = {"file": file}
    record(action="degrees:comparison:exported", actor=by, obj=comparison, study=comparison.study_id, detail=detail)


def _plan_missing(comparison: DegreeComparison, by: User, source: Run | None) -> list[Run]:
    """Plan a run for each shape and seed that the comparison lacks. Raises Invalid where there is none."""
    known = {_key_of(entry) for entry in _entries(comparison)}
    outline = outline_of(comparison.study)
    shapes = [item for item in outline.shapes if item.kind in comparison.kinds]
    shapes += personal_shapes(outline, comparison.personalised)
    seeds: list[int | None] = [*comparison.seeds] or [None]
    lacking = [_Lacking(shape, seed) for seed in seeds for shape in shapes if (seed, *shape.key) not in known]
    lacking = [*_of_before(comparison, source, outline), *lacking] if source else lacking
    if not lacking:
        raise _NothingNew("E_TOO_FEW_SITES", "No site can train in a way that is wanted and not planned yet.")
    if len(known) + len(lacking) > MOST_RUNS:
        words = f"These would be more than {MOST_RUNS} runs: ask for fewer ways of training, or for fewer seeds."
        raise Invalid("E_INVALID", words)
    planned = [(item, _run_for(comparison, item, by, source)) for item in lacking]
    made = [(item, run) for item, run in planned if run is not None]
    if not made:
        raise _NothingNew("E_TOO_FEW_SITES", "The strategy needs more sites than can train.")
    for position, (item, run) in enumerate(made, start=len(known)):
        DegreeEntry.objects.create(
            comparison=comparison, kind=item.shape.kind, enrolment=item.shape.enrolment, table=item.shape.table,
            seed=item.seed, run=run, position=position,
        )  # fmt: skip
    return [run for _, run in made]


def _of_before(comparison: DegreeComparison, source: Run, outline: Outline) -> list[_Lacking]:
    """The way in which a run trained that is not possible any more, where today's sites tested it; or none.

    The comparison's plan is that of the run, so it fits as it is: at most it drew no replicates, and has no intervals.
    """
    shape, seed = shape_of(source), own_seed(source.version, source.config)
    everybody = {item.pk for found in outline.shapes for item in found.tests}
    if shape is None or shape.kind not in comparison.kinds or shape.way in {item.way for item in outline.shapes}:
        return []
    if not _stands_alone(source) or {item.pk for item in shape.tests} != everybody:
        return []
    return [_Lacking(shape, seed, source)] if seed is None or seed in comparison.seeds else []


@dataclass(frozen=True)
class _Lacking:
    """A way of training with a seed of which the comparison has no run yet; `run` is to take that place."""

    shape: Shape
    seed: int | None
    run: Run | None = None


def _entries(comparison: DegreeComparison) -> list[DegreeEntry]:
    return list(comparison.entries.prefetch_related("run__participants"))


def _key_of(entry: DegreeEntry) -> Any:
    trains = frozenset(item.enrolment_id for item in entry.run.participants.all() if item.role == TRAINS)
    strategy = entry.run.strategy if entry.kind == PERSONALISED else ""
    return entry.seed, entry.kind, entry.enrolment_id, entry.table_id, trains, strategy


def _run_for(comparison: DegreeComparison, lacking: _Lacking, by: User, source: Run | None) -> Run | None:
    """The run of a shape: `source` where it fits, else a new one; None where the strategy needs more sites."""
    if lacking.run is not None:
        return lacking.run
    plan = _plan_for(comparison, lacking)
    if source is not None and source.config == plan.config and _fits(source, lacking.shape):
        return source
    try:
        with transaction.atomic():
            return create_run(study=comparison.study, version=comparison.version, plan=plan, by=by)
    except Invalid as error:
        if error.code != "E_TOO_FEW_SITES":
            raise
    if len(lacking.shape.trains) > 1:
        return None
    # Of one site nothing is combined: the plainest strategy says the same.
    plain = replace(plan, strategy="fedavg", strategy_parameters={})
    return create_run(study=comparison.study, version=comparison.version, plan=plain, by=by)


def _plan_for(comparison: DegreeComparison, lacking: _Lacking) -> Plan:
    shape = lacking.shape
    trains = {item.pk for item in shape.trains}
    everybody = {item.pk: item for item in (*shape.trains, *shape.tests)}
    config = dict(comparison.plan["config"] or {})
    if lacking.seed is not None:
        config[SEED] = lacking.seed
    own = {"strategy": shape.strategy, "strategy_parameters": {}} if shape.strategy else {}
    return Plan(
        **{**comparison.plan, **own, "config": config},
        label=_label(comparison, lacking),
        sites=[str(pk) for pk in everybody],
        validators=[str(pk) for pk in everybody if pk not in trains],
    )


def _label(comparison: DegreeComparison, lacking: _Lacking) -> str:
    shape = lacking.shape
    site = shape.enrolment.site.name[:LONGEST_SITE] if shape.enrolment else ""
    words = {"alone": f"{site} alone", "left-out": f"without {site}"}.get(shape.kind, shape.strategy or shape.kind)
    seed = f", seed {lacking.seed}" if len(comparison.seeds) > 1 else ""
    return f"{comparison.label[: LONGEST_LABEL - len(words) - len(seed) - 3]} · {words}{seed}"


def _fits(run: Run, shape: Shape) -> bool:
    """Whether a run trained just like this, from the beginning, and was tested by all."""
    if shape.table is not None or shape.strategy or not _stands_alone(run):
        return False
    parts = {item.enrolment_id: item.role for item in run.participants.all()}
    trains = {pk for pk, role in parts.items() if role == TRAINS}
    return trains == {item.pk for item in shape.trains} and set(parts) == {item.pk for item in shape.tests}


def _stands_alone(run: Run) -> bool:
    """Whether it began anew, by a strategy of the platform."""
    return run.parent_id is None and run.strategy != OWN_SERVER and run.state != "draft"

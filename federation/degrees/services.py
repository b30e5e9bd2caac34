"""Planning and starting the runs of a comparison. They are runs like all others: queued, resumed, stopped as these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import transaction

from accounts.models import User
from accounts.permissions import Permission, check
from audit.services import record
from federation.degrees.kinds import KINDS
from federation.degrees.models import DegreeComparison, DegreeEntry
from federation.degrees.outline import Shape, outline_of
from federation.runs.lineage import plan_of
from federation.runs.models import Run
from federation.runs.phases import OWN_SERVER
from federation.runs.roles import TRAINS
from federation.runs.services import Plan, create_run, start_run
from fedstudy_core.errors import FedStudyError, FieldProblem, Invalid
from studies.lifecycle.models import Study
from studies.lifecycle.services import check_under_way
from studies.scripts.models import ScriptVersion

MOST_RUNS, LABEL_LENGTH = 60, 80
BOOTSTRAP, REPLICATES = "bootstrap", 200  # of a script that draws its test rows anew, for intervals of differences
TO_START = ("draft", "failed", "stopped")
OF_ITS_SITES = ("label", "sites", "validators", "quorum")  # what a plan says of one run alone


@dataclass(frozen=True)
class Hindered:
    """A run that could not be started, and why."""

    run: Run
    code: str
    detail: str


def create_comparison(
    *, study: Study, version: ScriptVersion, plan: Plan, kinds: Sequence[str] = KINDS, label: str = "", by: User
) -> DegreeComparison:
    """Plan the runs of a comparison; nothing is sent to any site yet.

    Args:
        plan: what all runs share; whom it names as sites is left aside.
        kinds: ways of training that are wanted (`federation.degrees.kinds`).

    Raises:
        Invalid: E_INVALID, E_TOO_FEW_SITES where none of them is possible now, and what `create_run` raises.
        Conflict: as `create_run`.
    """
    return _create(study=study, version=version, plan=plan, kinds=kinds, label=label, source=None, by=by)


def compare_run(*, run: Run, kinds: Sequence[str] = KINDS, by: User) -> DegreeComparison:
    """The same by the plan of a run, which takes its place in the comparison where all sites tested it.

    Raises: as `create_comparison`.
    """
    plan, label = plan_of(run), run.label
    return _create(study=run.study, version=run.version, plan=plan, kinds=kinds, label=label, source=run, by=by)


@transaction.atomic
def _create(
    *,
    study: Study,
    version: ScriptVersion,
    plan: Plan,
    kinds: Sequence[str],
    label: str,
    source: Run | None,
    by: User,
) -> DegreeComparison:
    check(by, Permission.RUN_START, study)
    _check_kinds(kinds)
    if version.declaration.get("server") == "own":
        raise Invalid("E_STRATEGY", "The script's own ServerApp asks whom it likes: no site can be held to testing.")
    plan = _with_replicates(plan, version)
    comparison = DegreeComparison.objects.create(
        study=study,
        version=version,
        label=(label or f"{version.script.name} v{version.number}")[:LABEL_LENGTH],
        kinds=[kind for kind in KINDS if kind in kinds],
        plan={name: value for name, value in asdict(plan).items() if name not in OF_ITS_SITES},
        created_by=by,
    )
    runs = _plan_missing(comparison, by, source)
    detail = {"version": version.sha256, "kinds": comparison.kinds, "runs": [str(run.pk) for run in runs]}
    record(action="degrees:comparison:created", actor=by, obj=comparison, study=study.pk, detail=detail)
    return comparison


def _with_replicates(plan: Plan, version: ScriptVersion) -> Plan:
    """The plan with bootstrap replicates at the sites, where the script can draw them and none are asked for."""
    config = dict(plan.config or {})
    if config.get(BOOTSTRAP) or all(item["name"] != BOOTSTRAP for item in version.parameters):
        return plan
    return replace(plan, config=config | {BOOTSTRAP: REPLICATES})


def _check_kinds(kinds: Sequence[str]) -> None:
    if not kinds or not set(kinds) <= set(KINDS):
        words = f"One or more of {', '.join(KINDS)}."
        raise Invalid("E_INVALID", words, errors=[FieldProblem("kinds", "E_INVALID", words)])


@transaction.atomic
def extend_comparison(*, comparison: DegreeComparison, by: User) -> list[Run]:
    """Plan the runs that have become possible since: after a level changed, or rows were pooled.

    Returns none where nothing has. Raises Conflict (E_STATE) in a study that is over, and as `create_comparison`.
    """
    comparison = DegreeComparison.objects.select_for_update(of=("self",)).select_related("study").get(pk=comparison.pk)
    check(by, Permission.RUN_START, comparison.study)
    check_under_way(comparison.study, "and takes no more runs")
    try:
        with transaction.atomic():
            runs = _plan_missing(comparison, by, None)
    except _NothingNew:
        return []
    detail = {"runs": [str(run.pk) for run in runs]}
    record(action="degrees:comparison:extended", actor=by, obj=comparison, study=comparison.study_id, detail=detail)
    return runs


class _NothingNew(Invalid):
    """No way of training that is wanted is possible now, other than those that are there."""


def start_comparison(*, comparison: DegreeComparison, by: User) -> list[Hindered]:
    """Plan what has become possible, and queue every run that has not begun, failed or was stopped.

    Returns the runs that could not be started; the log notes each try.
    """
    extend_comparison(comparison=comparison, by=by)
    entries = comparison.entries.filter(run__state__in=TO_START).select_related("run__study", "run__version__script")
    hindered = []
    for entry in entries:
        try:
            start_run(run=entry.run, by=by)
        except FedStudyError as error:
            hindered.append(Hindered(entry.run, error.code, error.detail))
    return hindered


@transaction.atomic
def note_export(*, comparison: DegreeComparison, file: str, by: User) -> None:
    """Note in the log that somebody took a comparison away as a file. Raises Forbidden (E_FORBIDDEN)."""
    check(by, Permission.RESULTS_VIEW, comparison.study)
    detail = {"file": file}
    record(action="degrees:comparison:exported", actor=by, obj=comparison, study=comparison.study_id, detail=detail)


def _plan_missing(comparison: DegreeComparison, by: User, source: Run | None) -> list[Run]:
    """Plan a run for each shape that the comparison lacks. Raises Invalid where there is none."""
    known = {_key_of(entry) for entry in _entries(comparison)}
    outline = outline_of(comparison.study)
    shapes = [item for item in outline.shapes if item.kind in comparison.kinds and item.key not in known]
    if not shapes:
        raise _NothingNew("E_TOO_FEW_SITES", "No site can train in a way that is wanted and not planned yet.")
    if len(known) + len(shapes) > MOST_RUNS:
        raise Invalid("E_INVALID", f"These would be more than {MOST_RUNS} runs: ask for fewer ways of training.")
    planned = [(shape, _run_for(comparison, shape, by, source)) for shape in shapes]
    made = [(shape, run) for shape, run in planned if run is not None]
    if not made:
        raise _NothingNew("E_TOO_FEW_SITES", "The strategy needs more sites than can train.")
    for position, (shape, run) in enumerate(made, start=len(known)):
        DegreeEntry.objects.create(
            comparison=comparison, kind=shape.kind, enrolment=shape.enrolment, table=shape.table, run=run,
            position=position,
        )  # fmt: skip
    return [run for _, run in made]


def _entries(comparison: DegreeComparison) -> list[DegreeEntry]:
    return list(comparison.entries.prefetch_related("run__participants"))


def _key_of(entry: DegreeEntry) -> Any:
    trains = frozenset(item.enrolment_id for item in entry.run.participants.all() if item.role == TRAINS)
    return entry.kind, entry.enrolment_id, entry.table_id, trains


def _run_for(comparison: DegreeComparison, shape: Shape, by: User, source: Run | None) -> Run | None:
    """The run of a shape: `source` where it fits, else a new one; None where the strategy needs more sites."""
    if source is not None and source.config == comparison.plan["config"] and _fits(source, shape):
        return source
    plan = _plan_for(comparison, shape)
    try:
        with transaction.atomic():
            return create_run(study=comparison.study, version=comparison.version, plan=plan, by=by)
    except Invalid as error:
        if error.code != "E_TOO_FEW_SITES":
            raise
    if len(shape.trains) > 1:
        return None
    # Of one site nothing is combined: the plainest strategy says the same.
    plain = replace(plan, strategy="fedavg", strategy_parameters={})
    return create_run(study=comparison.study, version=comparison.version, plan=plain, by=by)


def _plan_for(comparison: DegreeComparison, shape: Shape) -> Plan:
    trains = {item.pk for item in shape.trains}
    everybody = {item.pk: item for item in (*shape.trains, *shape.tests)}
    return Plan(
        **comparison.plan,
        label=f"{comparison.label} · {_words(shape)}",
        sites=[str(pk) for pk in everybody],
        validators=[str(pk) for pk in everybody if pk not in trains],
    )


def _words(shape: Shape) -> str:
    site = shape.enrolment.site.name[:30] if shape.enrolment else ""
    return {"alone": f"{site} alone", "left-out": f"without {site}"}.get(shape.kind, shape.kind)


def _fits(run: Run, shape: Shape) -> bool:
    """Whether a run trained just like this, from the beginning, and was tested by all."""
    if shape.table is not None or run.parent_id is not None or run.strategy == OWN_SERVER or run.state == "draft":
        return False
    parts = {item.enrolment_id: item.role for item in run.participants.all()}
    trains = {pk for pk, role in parts.items() if role == TRAINS}
    return trains == {item.pk for item in shape.trains} and set(parts) == {item.pk for item in shape.tests}

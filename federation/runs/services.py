"""What people do to runs: plan, start, pause and stop them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.permissions import Permission, check
from audit.services import record
from federation.runs import halting, queue, states
from federation.runs.lowering import lower_participants
from federation.runs.models import PRIORITIES, Participant, Run
from federation.runs.obstacles import approval_key, approvals_of, obstacles, trainers_left
from federation.runs.phases import OWN_SERVER
from federation.runs.pooled import levels_where_pooled
from federation.runs.roles import TESTS, TRAINS, role_at
from federation.strategies.catalogue import STRATEGIES
from federation.strategies.description import ConfigValue
from fedstudy_core.counts import counted
from fedstudy_core.errors import Conflict, FieldProblem, Invalid, Refusal
from fedstudy_core.parameters import Parameter, validate_config
from fedstudy_core.transport import AS_IS, TRANSPORTS
from nodes.registry.models import Node
from studies.enrolment.models import Enrolment
from studies.lifecycle.models import Study
from studies.lifecycle.services import check_under_way
from studies.scripts.models import ScriptVersion

MAX_ROUNDS, MAX_DEADLINE_S = 10_000, 7 * 24 * 3600
ROUNDS_KEY = "num-server-rounds"
USUAL_ROUNDS, MOST_EXCHANGES = 10, 100


@dataclass(frozen=True)
class Plan:
    """A run as its author asks for it.

    Attributes:
        sites: ids of the enrolments, or of their sites, that take part; all ready ones when None.
        validators: those of them that only test the model, though their level may allow more.
        strategy: "" for federated averaging, or for the script's own ServerApp where it brings one.
        exchanges: where the script's own ServerApp leads: the most that it may make, in the place of `rounds`, of which
            such an app has its own idea.
        quorum: answers that every phase of a round needs, at most as many as sites train; all of these when None.
        deadline_s: seconds that a phase of a round waits.
        wait_s: seconds that the start waits for missing sites, once the run's turn has come.
        priority: "low", "normal" or "high": a head start in the queue.
        transport: "float32": arrays travel as they are; "float16": narrowed to 16 bits for the way, which halves the
            bytes and rounds each number.
        metric: by which the best round is chosen; the script's headline when None, no choice when "".
        better: "higher" or "lower" values of it; what its name suggests when None.
        patience: evaluated rounds without gain after which the run ends; 0 for never.
        min_delta: the least change of the metric that counts as gain.
    """

    label: str = ""
    strategy: str = ""
    strategy_parameters: Mapping[str, ConfigValue] | None = None
    config: Mapping[str, ConfigValue] | None = None
    rounds: int = USUAL_ROUNDS
    exchanges: int = MOST_EXCHANGES
    sites: Sequence[str] | None = None
    validators: Sequence[str] = ()
    quorum: int | None = None
    deadline_s: int = 600
    wait_s: int = 60
    priority: str = "normal"
    transport: str = AS_IS
    metric: str | None = None
    better: str | None = None
    patience: int = 0
    min_delta: float = 0.0


@transaction.atomic
def create_run(*, study: Study, version: ScriptVersion, plan: Plan, by: User) -> Run:
    """Plan a run; nothing is sent to any site yet.

    Raises:
        Conflict: E_STATE for a version that was taken back, or a study that is over.
        Invalid: E_INVALID, E_METRIC, E_RUN_CONFIG, E_STRATEGY, E_STRATEGY_SUPPORT, E_PROXIMAL, E_NO_INITIAL,
            E_TOO_FEW_SITES, E_NOT_READY.
    """
    check(by, Permission.RUN_START, study)
    run = plan_run(study=study, version=version, plan=plan, by=by)
    detail = {"version": version.sha256, "strategy": run.strategy, "rounds": run.rounds, "quorum": run.quorum}
    detail |= {"transport": run.transport, "sites": parts_of(run)}
    record(action="runs:run:created", actor=by, obj=run, study=study.pk, detail=detail)
    return run


def parts_of(run: Run) -> list[dict[str, str]]:
    """The sites of a run with their levels and their parts in it, as the log has them."""
    rows = run.participants.select_related("enrolment__site")
    return [{"site": item.enrolment.site.name, "level": item.level, "role": item.role} for item in rows]


def plan_run(*, study: Study, version: ScriptVersion, plan: Plan, by: User) -> Run:
    """The planned run with its participants; the caller has checked the permission and writes the event."""
    check_under_way(study, "and takes no more runs")
    plan = _with_defaults(plan, version)
    if version.script.study_id != study.pk:
        raise Invalid("E_INVALID", "This script version belongs to another study.")
    if version.state != "submitted":
        raise Conflict("E_STATE", "This version was taken back; no new run may use it.")
    enrolments = _chosen_enrolments(study, plan)
    testing = _held_to_testing(plan, enrolments)
    levels = {item.pk: item.level for item in enrolments} | dict(levels_where_pooled(enrolments, testing))
    roles = {item.pk: TESTS if item.pk in testing else role_at(levels[item.pk]) for item in enrolments}
    quorum = _check_numbers(plan, [roles[item.pk] for item in enrolments].count(TRAINS), len(enrolments))
    strategy_parameters = _check_strategy(plan, version, quorum)
    if plan.strategy != OWN_SERVER and not version.declaration.get("initial"):
        raise Invalid("E_NO_INITIAL", "The script does not say which query gives the initial model.")
    run = Run.objects.create(
        study=study,
        version=version,
        label=plan.label or f"{version.script.name} v{version.number}",
        strategy=plan.strategy,
        strategy_parameters=strategy_parameters,
        config=_check_config(plan, version),
        rounds=plan.rounds,
        quorum=quorum,
        deadline_s=plan.deadline_s,
        wait_s=plan.wait_s,
        tests_apart=set(roles.values()) != {TRAINS},
        created_by=by,
        priority=_check_priority(plan),
        transport=_check_transport(plan),
        **halting.fields_of(plan, version.declaration),
    )
    for position, enrolment in enumerate(enrolments):
        node = Node.objects.get(pk=_node_id(enrolment))
        Participant.objects.create(
            run=run, enrolment=enrolment, node=node, position=position,
            level=levels[enrolment.pk], role=roles[enrolment.pk],
        )  # fmt: skip
    return run


def _brings_server(version: ScriptVersion) -> bool:
    return bool(version.declaration.get("server") == "own")


def _with_defaults(plan: Plan, version: ScriptVersion) -> Plan:
    """The plan with what its author left open: a script's own ServerApp leads where it brings one."""
    own = _brings_server(version)
    rounds = plan.exchanges if own else plan.rounds
    return replace(plan, strategy=plan.strategy or (OWN_SERVER if own else "fedavg"), rounds=rounds)


def _chosen_enrolments(study: Study, plan: Plan) -> list[Enrolment]:
    rows = Enrolment.objects.filter(study=study).select_related("site", "dataset__pooled_table")
    everybody = list(rows.order_by("site__name"))
    if plan.sites is None:
        return [enrolment for enrolment in everybody if enrolment.state == "ready"]
    known = {str(item.pk): item for item in everybody} | {str(item.site_id): item for item in everybody}
    chosen = [known.get(str(name)) for name in plan.sites]
    problems = list(_wrong_choices(chosen))
    if problems:
        raise Invalid(problems[0].code, problems[0].detail, errors=problems)
    return [enrolment for enrolment in everybody if enrolment in chosen]


def _wrong_choices(chosen: Sequence[Enrolment | None]) -> Iterator[FieldProblem]:
    """What is wrong with the sites that somebody names: none, unknown, named twice, or not ready."""
    if not chosen:
        yield FieldProblem("sites", "E_TOO_FEW_SITES", "Name a site or more, or leave “sites” out for all ready ones.")
    for position, enrolment in enumerate(chosen):
        field = f"sites.{position}"
        if enrolment is None:
            yield FieldProblem(field, "E_INVALID", "Neither the id of an enrolment in this study nor of its site.")
        elif enrolment in chosen[:position]:
            yield FieldProblem(field, "E_INVALID", f"{enrolment.site.name} is named twice.")
        elif enrolment.state != "ready":
            yield FieldProblem(field, "E_NOT_READY", f"{enrolment.site.name} is {enrolment.state}, not ready.")


def _held_to_testing(plan: Plan, enrolments: Sequence[Enrolment]) -> set[UUID]:
    """The enrolments that the plan has only test, whatever their level allows."""
    if plan.validators and plan.strategy == OWN_SERVER:
        words = "The script's own ServerApp asks its sites for what it likes: none of them can be held to testing."
        raise Invalid("E_INVALID", words, errors=[FieldProblem("validators", "E_INVALID", words)])
    known = {str(item.pk): item for item in enrolments} | {str(item.site_id): item for item in enrolments}
    strange = [position for position, name in enumerate(plan.validators) if str(name) not in known]
    if strange:
        words = "A site that only tests is one of those that take part."
        raise Invalid("E_INVALID", words, errors=[FieldProblem(f"validators.{strange[0]}", "E_INVALID", words)])
    return {known[str(name)].pk for name in plan.validators}


def _node_id(enrolment: Enrolment) -> str:
    if enrolment.dataset is None:
        raise Invalid("E_NOT_READY", f"{enrolment.site.name} offers no dataset.")
    return enrolment.dataset.node_id


def _check_numbers(plan: Plan, training: int, sites: int) -> int:
    quorum = training if plan.quorum is None else plan.quorum
    if training == 0 or quorum > training:
        part = "take part" if training == sites else f"train, of {counted(sites, 'site')} that would take part"
        detail = f"The run needs {counted(max(quorum, 1), 'site')}, and {counted(training, 'site')} would {part}."
        raise Invalid("E_TOO_FEW_SITES", detail)
    limits = (
        ("rounds", plan.rounds, MAX_ROUNDS),
        ("quorum", quorum, training),
        ("deadline_s", plan.deadline_s, MAX_DEADLINE_S),
    )
    problems = [
        FieldProblem(name, "E_INVALID", f"A whole number from 1 to {most}.")
        for name, value, most in limits
        if not 1 <= value <= most
    ]
    if plan.wait_s < 0 or plan.wait_s > MAX_DEADLINE_S:
        problems.append(FieldProblem("wait_s", "E_INVALID", f"A whole number from 0 to {MAX_DEADLINE_S}."))
    if problems:
        raise Invalid("E_INVALID", "Some numbers of the run do not fit.", errors=problems)
    return quorum


def _check_strategy(plan: Plan, version: ScriptVersion, quorum: int) -> dict[str, ConfigValue]:
    own = _brings_server(version)
    if own != (plan.strategy == OWN_SERVER):
        what = "brings its own ServerApp" if own else "does not bring its own ServerApp"
        raise Invalid("E_STRATEGY", f"This script {what}; “{OWN_SERVER}” is the strategy of those that do.")
    if own:
        return validate_config((), dict(plan.strategy_parameters or {}))
    strategy = STRATEGIES.get(plan.strategy)
    if strategy is None:
        raise Invalid("E_STRATEGY", f"There is no strategy “{plan.strategy}”; there are {', '.join(STRATEGIES)}.")
    need = strategy.unsupported_by(version.declaration)
    if need is not None:
        raise Invalid(need.code, f"{strategy.title} needs a script that {need.sentence}; this one does not.")
    parameters = validate_config(strategy.parameters, dict(plan.strategy_parameters or {}))
    fewest = strategy.fewest_answers(parameters)
    if quorum < fewest:
        detail = f"{strategy.title} needs {counted(fewest, 'site')} in every round; this run's quorum is {quorum}."
        raise Invalid("E_TOO_FEW_SITES", detail)
    return parameters


def _check_config(plan: Plan, version: ScriptVersion) -> dict[str, ConfigValue]:
    parameters = tuple(Parameter.model_validate(item) for item in version.parameters)
    given = dict(plan.config or {})
    if plan.strategy != OWN_SERVER and any(parameter.name == ROUNDS_KEY for parameter in parameters):
        given[ROUNDS_KEY] = plan.rounds
    return validate_config(parameters, given)


def _check_priority(plan: Plan) -> str:
    if plan.priority not in PRIORITIES:
        words = f"One of {', '.join(PRIORITIES)}."
        raise Invalid("E_INVALID", words, errors=[FieldProblem("priority", "E_INVALID", words)])
    return plan.priority


def _check_transport(plan: Plan) -> str:
    words = f"One of {', '.join(TRANSPORTS)}." if plan.transport not in TRANSPORTS else ""
    if plan.strategy == OWN_SERVER and plan.transport != AS_IS:
        words = "The script's own ServerApp sends and reads its arrays itself: they travel as they are (float32)."
    if words:
        raise Invalid("E_INVALID", words, errors=[FieldProblem("transport", "E_INVALID", words)])
    return plan.transport


def start_run(*, run: Run, by: User) -> Run:
    """Queue the run: it begins when its turn has come and its sites are there.

    What was paused, failed or was stopped goes on after its last committed round.

    Raises:
        Conflict: E_STATE for a run that is under way or complete.
        Refusal: E_NOT_APPROVED and others, when fewer sites than the quorum could take part; the
            log notes the try.
    """
    try:
        return _go_on(run, by) or _queue(run, by)
    except Refusal as refusal:
        with transaction.atomic():
            detail = {"code": refusal.code, "reason": refusal.detail}
            record(action="runs:run:hindered", actor=by, obj=run, study=run.study_id, outcome="refused", detail=detail)
        raise


def resume_run(*, run: Run, by: User) -> Run:
    """Let a run go on that is paused (or about to be), failed or was stopped.

    Raises:
        Conflict: E_STATE for any other run.
        Refusal: as `start_run`.
    """
    if run.state not in ("pausing", "paused", "failed", "stopped"):
        check(by, Permission.RUN_START, run.study)
        raise Conflict("E_STATE", f"This run is {run.state}; what is paused, failed or stopped goes on.")
    return start_run(run=run, by=by)


@transaction.atomic
def _go_on(run: Run, by: User) -> Run | None:
    """Take back the wish to pause after the round at work; None where there is no such wish."""
    run = Run.objects.select_for_update(of=("self",)).select_related("study").get(pk=run.pk)
    if run.state != "pausing":
        return None
    check(by, Permission.RUN_START, run.study)
    states.RUN.move(run, "running")
    run.save(update_fields=["state"])
    record(action="runs:run:unpaused", actor=by, obj=run, study=run.study_id)
    return run


@transaction.atomic
def _queue(run: Run, by: User) -> Run:
    Study.objects.select_for_update(no_key=True).get(pk=run.study_id)  # it does not close meanwhile
    run = Run.objects.select_for_update(of=("self",)).select_related("version__script", "study").get(pk=run.pk)
    check(by, Permission.RUN_START, run.study)
    if run.study.state != "active":
        raise Refusal("E_STATE", f"Runs start in active studies; this one is {run.study.state}.")
    missing = obstacles(run)
    if trainers_left(run, missing) < run.quorum:
        raise Refusal(missing[0].code, "Not enough sites can take part: " + " ".join(item.detail for item in missing))
    lower_participants(run, by=by)
    approvals = approvals_of(run, timezone.now())
    for participant in run.participants.select_related("enrolment"):
        participant.approval = approvals.get(approval_key(participant))
        participant.save(update_fields=["approval"])
    before = states.RUN.move(run, "queued")
    run.queued_at, run.ended_at, run.reason_code, run.reason = timezone.now(), None, "", ""
    run.save(update_fields=["state", "queued_at", "ended_at", "reason_code", "reason"])
    record(action="runs:run:queued", actor=by, obj=run, study=run.study_id, detail={"before": before})
    queue.admit_runs()
    run.refresh_from_db(fields=["state", "admitted_at"])
    return run


@transaction.atomic
def stop_run(*, run: Run, by: User, reason: str = "") -> Run:
    """End the run, also before it begins; what is committed stays. The sites are told to end their work."""
    run = Run.objects.select_for_update(of=("self",)).select_related("study").get(pk=run.pk)
    check(by, Permission.RUN_STOP, run.study)
    states.RUN.move(run, "stopped")
    run.ended_at, run.reason_code, run.reason = timezone.now(), "E_STOPPED", reason or f"Stopped by {by.name}."
    run.epoch, run.lease_owner, run.lease_until = run.epoch + 1, "", None
    run.save()
    for round_ in run.round_set.filter(state="open"):
        states.ROUND.move(round_, "failed")
        round_.save(update_fields=["state"])
    record(action="runs:run:stopped", actor=by, obj=run, study=run.study_id, detail={"reason": reason[:200]})
    leave(run)
    return run


@transaction.atomic
def pause_run(*, run: Run, by: User, at_once: bool = False) -> Run:
    """Pause the run: after the round at work, or at once; `start_run` lets it go on.

    At once means that the sites end what they work on; answers that came count, the others are asked for again later.

    Raises:
        Conflict: E_STATE for a run that is not under way.
    """
    run = Run.objects.select_for_update(of=("self",)).select_related("study").get(pk=run.pk)
    check(by, Permission.RUN_STOP, run.study)
    at_work = run.state in ("running", "pausing")
    states.RUN.move(run, "pausing" if at_work and not at_once else "paused")
    if run.state == "paused":
        run.epoch, run.lease_owner, run.lease_until = run.epoch + 1, "", None
        leave(run)
    run.save(update_fields=["state", "epoch", "lease_owner", "lease_until"])
    record(action=f"runs:run:{run.state}", actor=by, obj=run, study=run.study_id, detail={"at_once": at_once})
    return run


def leave(run: Run) -> None:
    """Once this is committed: have the sites end their work for the run, and others take its place."""
    from federation.runs.tasks import admit, retire

    transaction.on_commit(lambda: retire.delay(str(run.pk)))
    transaction.on_commit(admit.delay)

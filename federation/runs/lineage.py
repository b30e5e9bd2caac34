"""Runs that come of runs: a fork begins with the model of another run's round, under a plan of its own.

A fork's preparation is adopted, not asked of the sites again: its round 0 is committed with the model of the chosen
round and with the sites' sums of the run that it comes from, because that model was trained on rows scaled by them.
What the strategy keeps from round to round (momentum, control variates) goes along where it still means the same: the
strategy and the sites are the same, and the chosen round is one of the last two, of which it is kept. Otherwise the
strategy begins anew, as it does in round 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.permissions import Permission, check
from audit.services import record
from federation.runs.models import Model, Round, Run
from federation.runs.roles import is_narrower
from federation.runs.services import Plan, parts_of, plan_run
from federation.runs.storage import state_store
from federation.strategies.catalogue import STRATEGIES
from fedstudy_core.errors import FieldProblem, Invalid, NotFound


@dataclass(frozen=True)
class Ancestor:
    """A run that another comes from, and the round of it whose model went on."""

    run: Run
    until: int


def ancestors_of(run: Run) -> list[Ancestor]:
    """The runs that a run comes from, the nearest first; a query for each."""
    found: list[Ancestor] = []
    while run.parent is not None and run.parent_round is not None:
        found.append(Ancestor(run.parent, run.parent_round))
        run = run.parent
    return found


def plan_of(run: Run) -> Plan:
    """The plan by which a run like this one would be made, over the same sites at the levels that they have then."""
    sites = list(run.participants.all())
    return Plan(
        label=run.label,
        strategy=run.strategy,
        strategy_parameters=run.strategy_parameters,
        config=run.config,
        rounds=run.rounds,
        sites=[str(item.enrolment_id) for item in sites],
        validators=[str(item.enrolment_id) for item in sites if is_narrower(item.role, item.level)],
        quorum=None if run.quorum == sum(item.trains for item in sites) else run.quorum,
        deadline_s=run.deadline_s,
        wait_s=run.wait_s,
        priority=run.priority,
        transport=run.transport,
        metric=run.metric,
        better=run.better or None,
        patience=run.patience,
        min_delta=run.min_delta,
    )


def plan_of_fork(run: Run, round_number: int) -> Plan:
    """The plan of a fork in which nothing else changes: it has the rounds that the run has left after that one."""
    left = run.rounds - round_number
    plan = plan_of(run)
    rounds = left if left > 0 else run.rounds
    return replace(
        plan,
        label=f"{run.label[:90]}, from round {round_number}",
        rounds=rounds,
        patience=min(plan.patience, max(rounds - 1, 0)),
    )


@transaction.atomic
def fork_run(*, run: Run, round_number: int, plan: Plan, by: User) -> Run:
    """Plan a run of the same script version that begins with the model of a committed round.

    Raises:
        NotFound: E_NOT_FOUND for a round that is not committed.
        Invalid: E_LINEAGE where that model lacks the layers that the new strategy needs, and what `create_run` raises.
    """
    check(by, Permission.RUN_START, run.study)
    source = _committed(run, round_number)
    if _keeps_local(run.strategy) != _keeps_local(plan.strategy):
        words = "One of the two strategies leaves layers at the sites: the round's model has not the arrays it needs."
        raise Invalid("E_LINEAGE", words, errors=[FieldProblem("strategy", "E_LINEAGE", words)])
    made = plan_run(study=run.study, version=run.version, plan=plan, by=by)
    made.parent, made.parent_round = run, round_number
    made.save(update_fields=["parent", "parent_round"])
    adopted = _adopt(run, source, made)
    detail = {
        "from": str(run.pk),
        "from_round": round_number,
        "model": adopted.model_out.sha256 if adopted.model_out else "",
        "strategy": made.strategy,
        "strategy_state": adopted.state_sha256,
        "rounds": made.rounds,
        "quorum": made.quorum,
        "transport": made.transport,
        "sites": parts_of(made),
    }
    record(action="runs:run:forked", actor=by, obj=made, study=made.study_id, detail=detail)
    return made


def _committed(run: Run, number: int) -> Round:
    found = run.standing_rounds.filter(number=number, state="committed").select_related("model_out").first()
    if found is None:
        raise NotFound("E_NOT_FOUND", f"Round {number} of “{run.label}” is not committed.")
    return found


def _keeps_local(strategy: str) -> bool:
    known = STRATEGIES.get(strategy)
    return known is not None and known.needs is not None and known.needs.declared == "local_layers"


def _adopt(run: Run, source: Round, made: Run) -> Round:
    """Commit the new run's preparation out of what the other run has."""
    if source.model_out is None:
        raise NotFound("E_NOT_FOUND", f"Round {source.number} of “{run.label}” has no model.")
    model = Model.objects.create(
        run=made, round_number=0, sha256=source.model_out.sha256, size=source.model_out.size,
        schema=source.model_out.schema,
    )  # fmt: skip
    now = timezone.now()
    return Round.objects.create(
        run=made, number=0, state="committed", model_out=model, started_at=now, committed_at=now, duration_ms=0,
        shared_sha256=_committed(run, 0).shared_sha256, state_sha256=_inherited_memory(run, source, made),
    )  # fmt: skip


def _inherited_memory(run: Run, source: Round, made: Run) -> str:
    """What the strategy kept after the round, in the new run's store; "" where it begins anew."""
    kept = state_store(run)
    means_the_same = run.strategy == made.strategy and _sites(run) == _sites(made)
    if not source.state_sha256 or not means_the_same or not kept.exists(source.state_sha256):
        return ""
    return state_store(made).put(kept.get(source.state_sha256))


def _sites(run: Run) -> list[object]:
    return list(run.participants.order_by("position").values_list("enrolment_id", "role"))

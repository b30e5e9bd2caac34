"""Runs and log entries as plain rows, for files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext_noop

from audit.models import Event
from audit.presenters import context_of
from federation.runs.evaluation import SubgroupResult
from federation.runs.models import Participation, Round, Run
from federation.runs.selectors import RunSummary
from fedstudy_core.evaluation import Estimate
from portal.web.presenters.charts import POOLED
from portal.web.presenters.runs import PHASES
from studies.scripts.models import Approval
from studies.scripts.signatures import signatures_of

EVENT_COLUMNS = (
    "number", "id", "at", "actor", "actor_label", "action", "object_type", "object_id", "object_label", "study", "site",
    "outcome", "detail", "context", "taken",
)  # fmt: skip
# Forms in which entries of the log are taken away.
FORMS = {"csv": "CSV", "jsonl": "JSON lines", "proof": gettext_noop("an export that proves itself")}


def mark_of(taken: Event) -> str:
    """What a file with entries of the log says of who took it."""
    return f"Taken by {taken.actor_label} on {taken.at:%Y-%m-%d %H:%M:%S} UTC: event {taken.event_id} of the log."


def event_record(event: Event, taken: Event) -> dict[str, Any]:
    """A log entry as it is kept, with the id of the event that says who took it away."""
    return {
        "number": event.pk,
        "id": str(event.event_id),
        "at": event.at.isoformat(),
        "actor": event.actor,
        "actor_label": event.actor_label,
        "action": event.action,
        "object_type": event.object_type,
        "object_id": event.object_id,
        "object_label": event.object_label,
        "study": event.study,
        "site": event.site,
        "outcome": event.outcome,
        "detail": json.loads(event.detail),
        "context": context_of(event),
        "taken": str(taken.event_id),
    }


def _approval(site: str, approval: Approval) -> dict[str, Any]:
    signatures = [item.as_json() for item in signatures_of(approval)]
    return {"site": site, "statement": approval.statement_id, "signatures": signatures}


def round_records(rounds: Iterable[Round]) -> list[dict[str, Any]]:
    """One row for each site that a phase of a round asked; times in milliseconds, sizes in bytes."""
    return [_answer(round_, row) for round_ in rounds for row in sorted(round_.participations.all(), key=_place)]


def _place(row: Participation) -> tuple[int, int]:
    """Sites in the run's order, phases as they follow each other."""
    return row.participant.position, list(PHASES).index(row.phase) if row.phase in PHASES else len(PHASES)


def _answer(round_: Round, row: Participation) -> dict[str, Any]:
    return {
        "round": round_.number,
        "round_state": round_.state,
        "committed_at": round_.committed_at.isoformat() if round_.committed_at else None,
        "model_sha256": round_.model_out.sha256 if round_.model_out else "",
        "site": row.participant.enrolment.site.name,
        "level": row.participant.level,
        "role": row.participant.role,
        "phase": row.phase,
        "state": row.state,
        "code": row.code,
        "rows": row.examples,
        "bytes_sent": row.bytes_sent,
        "bytes_received": row.bytes_received,
        "duration_ms": row.duration_ms,
        **{f"rounding:{way}:{name}": value for way, told in row.rounding.items() for name, value in told.items()},
        **{f"metric:{name}": value for name, value in row.metrics.items()},
    }


def result_records(summary: RunSummary) -> list[dict[str, Any]]:
    """One row for each site after the last round that it tested, and one for all of them together."""
    rows = [
        {
            "site": item.site,
            "round": item.round,
            "rows_trained": item.examples,
            **{f"metric:{name}": value for name, value in item.metrics.items()},
        }
        for item in summary.sites
    ]
    if summary.pooled:
        pooled = {f"metric:{name}": value for name, value in summary.pooled.items()}
        rows.append({"site": POOLED, "round": summary.committed, "rows_trained": None, **pooled})
    return rows


def subgroup_records(summary: RunSummary) -> list[dict[str, Any]]:
    """One row for each subgroup of the newest test; `low` and `high` end the intervals of 95 %."""
    return [_subgroup(item) for item in summary.evaluation.subgroups] if summary.evaluation else []


def _subgroup(item: SubgroupResult) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": item.name,
        "subgroup": item.subgroup,
        "value": item.value,
        "sites": item.sites,
        "sites_withheld": item.withheld,
        "rows": item.rows_band,
    }
    for name in ("auc", "sensitivity", "specificity"):
        estimate: Estimate | None = getattr(item, name)
        low, high = (estimate.interval if estimate else None) or (None, None)
        row |= {name: estimate.value if estimate else None, f"{name}:low": low, f"{name}:high": high}
    return row


def run_record(run: Run, summary: RunSummary, rounds: Sequence[Round]) -> dict[str, Any]:
    """The whole run: what was planned, who took part, what came out."""
    participants = list(run.participants.select_related("enrolment__site", "approval"))
    return {
        "run": str(run.pk),
        "label": run.label,
        "study": {"id": str(run.study_id), "title": run.study.title},
        "script": {"name": str(run.version), "sha256": run.version.sha256},
        "state": run.state,
        "reason_code": run.reason_code,
        "reason": run.reason,
        "strategy": run.strategy,
        "configuration": {**run.config, **run.strategy_parameters},
        "rounds_planned": run.rounds,
        "rounds_committed": summary.committed,
        "quorum": run.quorum,
        "sites": [item.enrolment.site.name for item in participants],
        "participants": [
            {"site": item.enrolment.site.name, "level": item.level, "role": item.role} for item in participants
        ],
        "approvals": [_approval(item.enrolment.site.name, item.approval) for item in participants if item.approval],
        "results": result_records(summary),
        "evaluation": asdict(summary.evaluation) if summary.evaluation else None,
        "rounds": round_records(rounds),
    }

"""What a dossier says of a run, as plain JSON values: read from the study, the run's plan and rounds, and approvals.

Times are UTC, ISO 8601; durations are milliseconds, sizes bytes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.utils import timezone

from accounts.models import User
from federation.dossiers.pooled import Behind, consents_behind
from federation.releases.card import card_of, dataset_of, model_of
from federation.releases.models import Release
from federation.runs.lineage import Ancestor, ancestors_of
from federation.runs.models import Participant, Participation, Round, Run
from federation.runs.selectors import RunSummary, rounds_of, run_summary
from federation.strategies.catalogue import STRATEGIES
from fedstudy_core import metrics as measures
from fedstudy_core.codes import CODES
from fedstudy_core.errors import NotFound
from fedstudy_core.times import format_time
from studies.dictionary.models import Dataset, DictionaryVersion
from studies.enrolment.states import LEVELS
from studies.lifecycle.models import ProtocolVersion
from studies.scripts.models import Approval

Json = dict[str, Any]
SITE_PARTS = ("enrolment__site", "enrolment__dataset__dictionary", "approval__dataset__dictionary", "node")


@dataclass(frozen=True)
class Facts:
    """Everything that is said of a run, in the order in which people ask.

    Attributes:
        protocol, dictionary: the versions in force when the run was planned, or the first after that.
        protocols: every version, the newest first.
        approvals: every statement of a site on the run's script version; `used` where the run stands on it.
        consents: under which rows came that lay at a pool node when the run used them, or a run that it comes from.
        card: the model card; None before any round was committed.
        model: the newest model, its schema, and what became of requests to release it.
    """

    run: Run
    made_at: str
    made_by: str
    plan: Json
    study: Json
    protocol: ProtocolVersion | None
    protocols: list[Json]
    dictionary: DictionaryVersion | None
    sites: list[Json]
    approvals: list[Json]
    consents: list[Behind]
    rounds: list[Json]
    results: Json
    card: Json | None
    model: Json


def facts_of(run: Run, *, by: User) -> Facts:
    """Read everything, in a number of queries that does not grow with rounds or sites, but with runs it comes from."""
    rounds = list(rounds_of(run))
    participants = list(run.participants.select_related(*SITE_PARTS))
    approvals = list(run.version.approvals.select_related("site", "dataset").order_by("site__name", "recorded_at"))
    used = {item.approval_id for item in participants}
    used |= {row.approval_id for item in rounds for row in item.participations.all() if row.state == "done"}
    summary, ancestors = run_summary(run, rounds), ancestors_of(run)
    protocols = list(run.study.protocol_versions.defer("content").select_related("created_by"))
    datasets = [dataset for item in participants if (dataset := dataset_of(item)) is not None]
    return Facts(
        run=run,
        made_at=format_time(timezone.now()),
        made_by=by.name,
        plan=_plan(run, summary, ancestors),
        study=_study(run),
        protocol=_in_force(protocols, run.created_at),
        protocols=[_protocol(item) for item in protocols],
        dictionary=max((item.dictionary for item in datasets), key=lambda item: item.number, default=None),
        sites=[_site(item) for item in participants],
        approvals=[_approval(item, item.pk in used) for item in approvals],
        consents=consents_behind(run, {item.dataset_id for item in approvals if item.pk in used}, ancestors),
        rounds=[_round(item) for item in rounds],
        results=_results(summary),
        card=_card(run),
        model=_model(run),
    )


def _at(moment: datetime | None) -> str | None:
    return format_time(moment) if moment else None


def _in_force(versions: list[ProtocolVersion], at: datetime) -> ProtocolVersion | None:
    """The newest version of before that moment, or the first of all; `versions` begin with the newest."""
    return next((item for item in versions if item.created_at <= at), versions[-1] if versions else None)


def _study(run: Run) -> Json:
    study = run.study
    return {
        "id": str(study.pk),
        "title": study.title,
        "question": study.summary,
        "aims": study.aims,
        "state": study.state,
        "created_at": format_time(study.created_at),
        "created_by": study.created_by.name,
    }


def _plan(run: Run, summary: RunSummary, ancestors: list[Ancestor]) -> Json:
    return {
        "id": str(run.pk),
        "label": run.label,
        "state": run.state,
        "reason_code": run.reason_code,
        "reason": run.reason,
        "script": {"name": str(run.version), "sha256": run.version.sha256},
        "strategy": run.strategy,
        "strategy_title": STRATEGIES[run.strategy].title if run.strategy in STRATEGIES else run.strategy,
        "configuration": {**run.config, **run.strategy_parameters},
        "rounds_planned": run.rounds,
        "rounds_committed": summary.committed,
        "quorum": run.quorum,
        "deadline_s": run.deadline_s,
        "wait_s": run.wait_s,
        "transport": run.transport,
        "metric": run.metric,
        "better": run.better,
        "patience": run.patience,
        "min_delta": run.min_delta,
        "best_round": run.best_round,
        "ends_after": run.ends_after,
        "parent": str(run.parent_id) if run.parent_id else None,
        "parent_round": run.parent_round,
        "ancestors": [
            {"run": str(item.run.pk), "label": item.run.label, "round": item.until} for item in ancestors
        ],
        "planned_by": run.created_by.name,
        "planned_at": format_time(run.created_at),
        "started_at": _at(run.started_at),
        "ended_at": _at(run.ended_at),
        "attempts": [
            {"number": item.number, "state": item.state, "flower_run": item.flower_run_id,
             "started_at": format_time(item.started_at), "ended_at": _at(item.ended_at), "reason": item.reason}
            for item in run.attempts.all()
        ],
    }  # fmt: skip


def _protocol(item: ProtocolVersion) -> Json:
    return {
        "number": item.number,
        "filename": item.filename,
        "sha256": item.sha256,
        "size": item.size,
        "uploaded_by": item.created_by.name,
        "uploaded_at": format_time(item.created_at),
    }


def _site(participant: Participant) -> Json:
    """A site's part: its data by fingerprint and band, its node as it is now, and what its approval asks for."""
    dataset, node, enrolment = dataset_of(participant), participant.node, participant.enrolment
    statement = participant.approval.statement if participant.approval else {}
    return {
        "site": enrolment.site.name,
        "level": f"{participant.level}: {LEVELS[participant.level]}",
        "role": participant.role,
        "dataset": _dataset(dataset) if dataset else None,
        "node": {"id": str(node.pk), "name": node.name, "agent_version": node.agent_version, "sandbox": node.sandbox},
        "approval": participant.approval.statement_id if participant.approval else None,
        "privacy": {
            **{name: statement.get("privacy", {}).get(name) for name in ("min_sites", "min_rows")},
            **{name: statement.get("outputs", {}).get(name) for name in ("max_norm", "max_bytes", "phases", "metrics")},
            "sandbox_min": statement.get("sandbox_min"),
            "rounds": statement.get("rounds"),
        },
    }


def _dataset(dataset: Dataset) -> Json:
    return {
        "id": str(dataset.pk),
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "rows_band": dataset.rows_band,
        "format": dataset.format,
        "state": dataset.state,
        "dictionary": dataset.dictionary.number,
        "checked_at": format_time(dataset.checked_at),
    }


def _approval(item: Approval, used: bool) -> Json:
    return {
        "site": item.site.name,
        "meaning": item.decision,
        "signers": [
            {"name": signer["name"], "role": signer["role"], "key": signer["key"]}
            for signer in item.statement.get("approvers", ())
        ]
        or [{"name": item.approver_name, "role": item.approver_role, "key": item.key_id}],
        "signed_at": format_time(item.signed_at),
        "not_before": format_time(item.not_before),
        "not_after": format_time(item.not_after),
        "state": item.state,
        "revoked_at": _at(item.revoked_at),
        "revoked_reason": item.revoked_reason,
        "statement": item.statement_id,
        "dataset": str(item.dataset_id),
        "fingerprint": item.statement.get("dataset", {}).get("fingerprint", item.dataset.fingerprint),
        "used": used,
        "file": f"approvals/{item.statement_id[:16]}.dsse.json",
    }


def _round(item: Round) -> Json:
    rows = sorted(item.participations.all(), key=lambda row: (row.participant.position, row.asked_at, row.pk))
    return {
        "number": item.number,
        "state": item.state,
        "started_at": format_time(item.started_at),
        "committed_at": _at(item.committed_at),
        "duration_ms": item.duration_ms,
        "model_in": item.model_in.sha256 if item.model_in else None,
        "model_out": item.model_out.sha256 if item.model_out else None,
        "bytes_sent": item.bytes_sent,
        "bytes_received": item.bytes_received,
        "metrics": {phase: _plain(found) for phase, found in item.metrics.items()},
        "sites": [_part(row) for row in rows],
    }


def _part(row: Participation) -> Json:
    """What a site did in a phase, or why not."""
    return {
        "site": row.participant.enrolment.site.name,
        "phase": row.phase,
        "state": row.state,
        "code": row.code,
        "reason": row.detail or CODES.get(row.code, ""),
        "rows": row.examples,
        "asked_at": format_time(row.asked_at),
        "answered_at": _at(row.answered_at),
        "duration_ms": row.duration_ms,
        "bytes_sent": row.bytes_sent,
        "bytes_received": row.bytes_received,
        "update": row.content_sha256 or None,
        "receipt": sha256(bytes(row.receipt)).hexdigest() if row.receipt else None,
        "metrics": _plain(row.metrics),
    }


def _plain(metrics: Json) -> Json:
    """Without counts of scores and replicates: the evaluation is made of them, and says what they say."""
    return {name: value for name, value in metrics.items() if not measures.is_raw(name)}


def _results(summary: RunSummary) -> Json:
    return {
        "headline": summary.headline,
        "sites": [
            {"site": item.site, "round": item.round, "rows_trained": item.examples, "metrics": item.metrics}
            for item in summary.sites
        ],
        "pooled": summary.pooled,
        "evaluation": json.loads(json.dumps(asdict(summary.evaluation))) if summary.evaluation else None,
    }


def _card(run: Run) -> Json | None:
    try:
        return card_of(run).as_json()
    except NotFound:
        return None


def _model(run: Run) -> Json:
    models = list(run.models.all())
    releases = run.releases.select_related("model", "requested_by", "refusing_site")
    newest = model_of(run) if models else None
    return {
        "round": newest.round_number if newest else None,
        "sha256": newest.sha256 if newest else None,
        "size": newest.size if newest else None,
        "arrays": newest.schema if newest else {},
        "by_round": {str(item.round_number): item.sha256 for item in models},
        "releases": [_release(item) for item in releases.prefetch_related("signatures__site", "signatures__signed_by")],
    }


def _release(item: Release) -> Json:
    return {
        "state": item.state,
        "round": item.model.round_number,
        "model": item.model.sha256,
        "recipient": item.recipient,
        "purpose": item.purpose,
        "requested_by": item.requested_by.name,
        "requested_at": format_time(item.requested_at),
        "decided_at": _at(item.decided_at),
        "reason": item.reason,
        "card_sha256": item.card_sha256,
        "signatures": [
            {"site": one.site.name, "name": one.signed_by.name, "signed_at": format_time(one.signed_at)}
            for one in item.signatures.all()
        ],
    }

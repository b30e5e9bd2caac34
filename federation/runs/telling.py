"""The events of a run at work: what the engine did, and what became of sites."""

from __future__ import annotations

import json
from collections.abc import Sequence

from audit.services import record
from federation.runs.models import Participant, Participation, Round, Run
from fedstudy_core import canonical

ENGINE = "system:engine"


def tell(run: Run, action: str, *, outcome: str = "done", **detail: object) -> None:
    record(action=action, actor=ENGINE, obj=run, study=run.study_id, outcome=outcome, detail=detail)


def tell_site(participation: Participation, **detail: object) -> None:
    site = participation.participant.enrolment.site
    round_ = participation.round
    outcome = "refused" if participation.state == "refused" else "failed"
    record(
        action=f"runs:site:{participation.state}",
        actor=ENGINE,
        obj=round_.run,
        study=round_.run.study_id,
        site=site.pk,
        outcome=outcome,
        detail={
            "round": round_.number,
            "phase": participation.phase,
            "site": site.name,
            "code": participation.code,
            **detail,
        },
    )


def tell_opened(round_: Round, asked: Sequence[Participant]) -> None:
    """The round's own first event: what is configured, and whom it asks."""
    configuration = json.dumps([round_.run.config, round_.run.strategy_parameters], sort_keys=True)
    tell(
        round_.run,
        "runs:round:opened",
        round=round_.number,
        configuration=canonical.digest(configuration.encode()),
        sites=[participant.enrolment.site.name for participant in asked],
    )

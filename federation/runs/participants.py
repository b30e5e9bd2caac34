"""Who takes part in a run, who is there, and why the others are not."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from django.db.models import F, Max
from django.utils import timezone

from federation.runs.models import Participant, Participation, Round, Run
from federation.runs.phases import EVALUATE, INITIAL, OWN_SERVER, SUMS, Phase, tests_before
from federation.runs.pooled import REVOKED, pool_is_stale
from federation.runs.roles import TRAINS
from fedstudy_core.levels import PHASES, allows
from fedstudy_core.metrics import MAX_EXAMPLES

ONLINE = timedelta(seconds=30)
LOOK_BACK, PATIENCE = 5, 3
START_S = 60  # for a site's processes to unpack the script and to import what it stands on
AWAY = "E_OFFLINE"
LEVEL_AWAITED = "E_LEVEL_AWAITED"  # the site's level was raised, and its node would still refuse
MAY_END = (AWAY, LEVEL_AWAITED)  # the absences that may end by themselves
LOWERED = "E_LEVEL"  # the site's level has fallen below what its part in the run asks for


def _of(run: Run) -> list[Participant]:
    rows = run.participants.select_related("enrolment__site", "node", "approval__dataset__pooled_table")
    return list(rows.prefetch_related("node__retired_keys"))


def absence(participant: Participant, now: datetime, phase: str = "evaluate") -> str:
    """The code that says why a site cannot be asked now, in a phase as approvals name it; empty when it can.

    A site that let a deadline pass counts as absent until its node has been heard of again, so that a dead node costs
    one deadline and not one a round.
    """
    node, approval = participant.node, participant.approval
    if participant.enrolment.state != "ready":
        return "E_NOT_READY"
    if not allows(participant.level, phase):
        return LOWERED
    if approval is None or approval.state != "valid" or approval.not_after <= now:
        return "E_NOT_APPROVED"
    if pool_is_stale(participant):
        return REVOKED
    if not node.may_act:
        return "E_NODE_UNAVAILABLE"
    declined = node.declines(participant.run_id)
    if declined:
        return declined
    if is_away(participant, now):
        return AWAY
    return LEVEL_AWAITED if _would_refuse(participant, phase) else ""


def _would_refuse(participant: Participant, phase: str) -> bool:
    """Whether a site's node still holds to a level that does not allow a phase which the site's level allows."""
    known = participant.node.level_in(participant.enrolment.study_id)
    return bool(known) and allows(participant.level, phase) and not allows(known, phase)


def is_away(participant: Participant, now: datetime) -> bool:
    """Whether a site's node may be back any moment; one without an id has a new key on its way to the SuperLink."""
    node, missed_at = participant.node, participant.last_missed_at
    if not node.flower_node_id or node.last_seen_at is None or now - node.last_seen_at > ONLINE:
        return True
    return missed_at is not None and node.last_seen_at <= missed_at


def most_rows(participant: Participant) -> int:
    """The most rows that a site's answer may claim to stand on: the end of the band that its dataset lies in."""
    approval = participant.approval
    if approval is None:
        return 0
    last = approval.dataset.rows_band.rpartition("-")[2]
    return int(last) if last.isdecimal() else MAX_EXAMPLES


def absences(run: Run) -> dict[Participant, str]:
    """The sites that a start still waits for, each with its code."""
    now = timezone.now()
    codes = {participant: absence(participant, now) or _waits_for_level(participant) for participant in _of(run)}
    return {participant: code for participant, code in codes.items() if code}


def _waits_for_level(participant: Participant) -> str:
    asked = [phase for phase in PHASES if participant.is_asked_for(phase)]
    return LEVEL_AWAITED if any(_would_refuse(participant, phase) for phase in asked) else ""


def trainers_there(run: Run, absent: Collection[Participant]) -> int:
    """How many of the sites that are to train are there."""
    return run.participants.filter(role=TRAINS).count() - sum(participant.trains for participant in absent)


def waits_until(run: Run) -> datetime:
    return (run.admitted_at or run.created_at) + timedelta(seconds=run.wait_s)


def new_deadline(run: Run, round_: Round) -> datetime:
    """Until when sites that are asked now may answer: as long as the run says, or three times as long as is usual.

    Usual is the median over the last rounds of how long the slowest good answer took; sites that did not answer do not
    count, so that waiting for them in vain does not make the next wait longer. Until a first round was answered since
    the run was let in, time for the script's processes to start is added.
    """
    answers = Participation.objects.filter(
        round__run=run,
        round__number__range=(max(round_.number - LOOK_BACK, 0), max(round_.number - 1, 0)),
        state="done",
        answered_at__gte=run.admitted_at or run.created_at,
    )
    slowest = answers.values("round").annotate(took=Max(F("answered_at") - F("asked_at")))
    usual = [took.total_seconds() for took in slowest.values_list("took", flat=True)]
    wait = max(run.deadline_s, PATIENCE * median(usual)) if usual else run.deadline_s + START_S
    return timezone.now() + timedelta(seconds=wait)


@dataclass(frozen=True)
class RollCall:
    """Who is there, in the sites' order, and who is absent, with the code that says why."""

    present: list[Participant]
    absent: dict[Participant, str]

    @property
    def may_come_back(self) -> list[Participant]:
        return [participant for participant, code in self.absent.items() if code in MAY_END]


def roll_call(run: Run, round_: Round, phase: Phase) -> RollCall:
    """Who can be asked in a phase of the round, of those whose part in the run it is to answer in it.

    The first model comes of a site that trains, and of those that answered the sums: a site that refused these will
    refuse the rest. Where the sites take turns by round, the one whose turn it is stands first. A script's own
    ServerApp asks whom it likes; whoever does not take part in what it asks is absent.
    """
    everyone = _of(run)
    if run.strategy != OWN_SERVER:
        wanted = "train" if phase.name == INITIAL else phase.wire_name
        everyone = [item for item in everyone if item.is_asked_for(wanted)]
    if phase.name == INITIAL:
        sums = Participation.objects.filter(round_id=round_.pk, phase=SUMS, state="done")
        answered = set(sums.values_list("participant_id", flat=True))
        everyone = [item for item in everyone if item.pk in answered] or everyone
    begin = phase.begins_at % len(everyone)
    now = timezone.now()
    order = everyone[begin:] + everyone[:begin]
    codes = {participant: absence(participant, now, phase.wire_name) for participant in order}
    return RollCall(
        present=[participant for participant, code in codes.items() if not code],
        absent={participant: code for participant, code in codes.items() if code},
    )


def settled(round_: Round) -> list[Participation]:
    """The current phase's participations, in the sites' order."""
    rows = round_.participations.filter(phase=round_.phase).select_related(
        "participant__enrolment__site", "participant__node", "participant__approval__dataset__pooled_table"
    )
    rows = rows.prefetch_related("participant__node__retired_keys")
    return sorted(rows, key=lambda item: item.participant.position)


def testing(round_: Round) -> list[Participation]:
    """What the open phase's sites are asked beside: to test the model of the round before."""
    if not tests_before(round_, round_.phase):
        return []
    rows = list(Participation.objects.filter(round=round_.before, phase=EVALUATE))
    for row in rows:
        row.round = round_.before
    return rows


ASKED = {
    "sums": "the exact sum over all sites",
    "initial": "the first model",
    "train": "training",
    "evaluate": "testing the model",
}


def shortfall_code(rows: Collection[Participation]) -> str:
    """The code of a round that too few answered: that a pool's rows were taken back, where nobody else is missing."""
    codes = {item.code for item in rows if item.state != "done"}
    return REVOKED if codes == {REVOKED} else "E_QUORUM_LOST"


def explain_shortfall(round_: Round, done: int, needed: int) -> str:
    """A sentence that names each site that did not answer and its code."""
    others = [
        f"{item.participant.enrolment.site.name} {item.state} ({item.code})"
        for item in settled(round_)
        if item.state != "done"
    ]
    where = f"Round {round_.number}" if round_.number else "The preparation"
    purpose = ASKED.get(round_.phase, f"“{round_.phase}”")
    return f"{where} got {done} of the {needed} answers that {purpose} needs: {'; '.join(others)}."

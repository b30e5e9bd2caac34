"""What the engine writes: every function is one transaction that holds the run's lease and carries its audit event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone

from federation.runs import halting, states
from federation.runs.accounts import accounted
from federation.runs.lease import Lease
from federation.runs.messages import Taken
from federation.runs.models import RECEIVED, Attempt, Model, Participant, Participation, Round, Run
from federation.runs.participants import LOWERED, RollCall, new_deadline
from federation.runs.phases import EVALUATE, TRAIN, Phase, next_phase, tests_before
from federation.runs.signals import run_changed
from federation.runs.telling import tell, tell_opened, tell_site
from fedstudy_core.updates import Schema

RESULT_FIELDS = ["metrics", "candidate_sha256", "shared_sha256", "state_sha256"]
SITE = "participant__enrolment__site__name"
SETTLED_FIELDS = (
    "round__number", "phase", SITE, "state", "code", "bytes_sent", "bytes_received", "rounding", "receipt",
    "content_sha256",
)  # fmt: skip
SENT_FIELDS = ["message_id", "bytes_sent", "asked_at", "rounding", "approval"]
ANSWER_FIELDS = [
    "state", "answered_at", "examples", "metrics", "content_sha256", "bytes_received", "receipt", "rounding"
]  # fmt: skip


@dataclass(frozen=True)
class Artifact:
    """Parameters that lie in the artifact store already."""

    sha256: str
    size: int
    schema: Schema


class PhaseResult(Protocol):
    """What a phase brought (`federation.runs.aggregation.Result`)."""

    @property
    def metrics(self) -> Mapping[str, object]: ...
    @property
    def candidate(self) -> str: ...
    @property
    def shared(self) -> str: ...
    @property
    def state(self) -> str: ...


@transaction.atomic
def begin_run(lease: Lease, *, absent: Sequence[str]) -> None:
    run = lease.locked_run()
    states.RUN.move(run, "running")
    resumed = run.started_at is not None
    run.started_at = run.started_at or timezone.now()
    run.save(update_fields=["state", "started_at"])
    if resumed:
        _reopen_phase(run)
    tell(run, "runs:run:resumed" if resumed else "runs:run:began", rounds=run.rounds, absent=list(absent))


def _reopen_phase(run: Run) -> None:
    """Give the phase at which the run was paused its whole time again, and have sent again what was not answered."""
    now = timezone.now()
    for round_ in run.round_set.filter(state="open", deadline_at__isnull=False):
        round_.phase_started_at, round_.deadline_at = now, new_deadline(run, round_)
        round_.save(update_fields=["phase_started_at", "deadline_at"])
        round_.participations.filter(state="awaited").update(message_id="", asked_at=now)


@transaction.atomic
def begin_attempt(lease: Lease, flower_run_id: str) -> Attempt:
    run = lease.locked_run()
    number = (run.attempts.aggregate(last=Max("number"))["last"] or 0) + 1
    attempt = Attempt.objects.create(run=run, number=number, flower_run_id=flower_run_id)
    tell(run, "runs:attempt:announced", attempt=number, flower_run=flower_run_id)
    return attempt


@transaction.atomic
def lose_attempt(lease: Lease, attempt: Attempt, reason: str) -> None:
    """The Flower run is gone: whoever is still awaited will be asked again by the next attempt."""
    run = lease.locked_run()
    states.ATTEMPT.move(attempt, "lost")
    attempt.ended_at, attempt.token, attempt.reason = timezone.now(), "", reason[:200]
    attempt.save(update_fields=["state", "ended_at", "token", "reason"])
    Participation.objects.filter(round__run=run, state="awaited").update(message_id="")
    tell(run, "runs:attempt:lost", outcome="failed", attempt=attempt.number, reason=reason[:200])


@dataclass(frozen=True)
class Asked:
    """Who is asked in a phase and who is absent, in the sites' order; the same for the test that goes with it."""

    rows: Sequence[Participation]
    tests: Sequence[Participation]


@transaction.atomic
def open_phase(lease: Lease, round_: Round, phase: Phase, deadline: datetime, call: RollCall, *, needed: int) -> Asked:
    """Begin a phase, and with its first one the round: ask whom it asks until the deadline, and note who is absent.

    Where fewer than `needed` are there, those who may come back until the deadline are awaited too.
    """
    lease.hold()
    now, begins = timezone.now(), not round_.phase
    round_.phase, round_.phase_started_at, round_.deadline_at = phase.name, now, deadline
    if round_._state.adding:
        round_.save()
    else:
        round_.save(update_fields=["phase", "phase_started_at", "deadline_at"])
    asked = call.present[:1] if phase.asks == "one" else call.present
    hoped_for = call.may_come_back if len(asked) < needed <= len(asked) + len(call.may_come_back) else []
    absent = {participant: code for participant, code in call.absent.items() if participant not in hoped_for}
    roll = [(participant, "") for participant in [*asked, *hoped_for]] + list(absent.items())
    roll.sort(key=lambda entry: entry[0].position)
    rows = [_asked(round_, phase.name, participant, code, now) for participant, code in roll]
    tests = _tests(round_.before, roll, now) if tests_before(round_, phase.name) else []
    Participation.objects.bulk_create([*rows, *(test for test in tests if test.pk is None)])
    if begins:
        tell_opened(round_, [participant for participant, code in roll if not code])
    for row in rows:
        if row.state == "missing":
            tell_site(row)
    run_changed.send(sender=Run, run_id=lease.run_id)
    return Asked(rows, tests)


def _asked(round_: Round, phase: str, participant: Participant, code: str, now: datetime) -> Participation:
    row = Participation(round=round_, participant=participant, phase=phase, asked_at=now)
    row.approval_id = participant.approval_id
    if code:
        row.state, row.code, row.answered_at = "missing", code, now
    return row


def _tests(before: Round, roll: Sequence[tuple[Participant, str]], now: datetime) -> list[Participation]:
    """The tests of a committed round's model, each asked once: a training phase that failed may have asked already.

    A site that may not train any more is not asked by a training message; what it may still test has a phase later.
    """
    there = {row.participant_id: row for row in before.participations.filter(phase=EVALUATE)}
    asked = [(item, code) for item, code in roll if item.pk in there or code != LOWERED]
    return [there.get(item.pk) or _asked(before, EVALUATE, item, code, now) for item, code in asked]


@transaction.atomic
def ask_again(lease: Lease, unheard_s: float) -> None:
    """Have everybody sent again what they were sent and did not answer: the worker before may have lost the answer.

    A node answers a message that it has answered before from its memory; nothing is trained twice. The seconds in which
    nobody could have heard an answer do not count towards the deadline: they are no site's fault.
    """
    lease.hold()
    open_rounds = Round.objects.filter(run=lease.run_id, state="open", deadline_at__isnull=False)
    open_rounds.update(deadline_at=F("deadline_at") + timedelta(seconds=unheard_s))
    Participation.objects.filter(round__run=lease.run_id, state="awaited").update(message_id="")


@transaction.atomic
def lose_message(lease: Lease, participation: Participation) -> None:
    """A message did not reach its node: it is to be sent anew."""
    lease.hold()
    participation.message_id = ""
    participation.save(update_fields=["message_id"])


@transaction.atomic
def ask_another(lease: Lease, round_: Round, participant: Participant, deadline: datetime) -> None:
    """Ask one more site in the current phase until a deadline of its own; the one before did not answer well."""
    lease.hold()
    round_.deadline_at = deadline
    round_.save(update_fields=["deadline_at"])
    _asked(round_, round_.phase, participant, "", timezone.now()).save()
    run_changed.send(sender=Run, run_id=lease.run_id)


@transaction.atomic
def begin_turn(lease: Lease, round_: Round, deadline: datetime) -> None:
    """Give the next site, to which the model is handed on, a deadline of its own."""
    lease.hold()
    round_.deadline_at = deadline
    round_.save(update_fields=["deadline_at"])


@transaction.atomic
def note_sent(lease: Lease, sent: Sequence[tuple[Participation, str, int]]) -> None:
    """Note the message id and bytes of what was handed to the SuperLink."""
    lease.hold()
    now = timezone.now()
    for participation, message_id, size in sent:
        participation.message_id, participation.bytes_sent, participation.asked_at = message_id, size, now
        participation.approval_id = participation.participant.approval_id  # a run that goes on may stand on another
    _rewrite([item for item, _, _ in sent], SENT_FIELDS)


@transaction.atomic
def note_answers(lease: Lease, answers: Sequence[tuple[Participation, Taken, int]]) -> None:
    """Note the good answers that came together, each with its bytes."""
    lease.hold()
    for participation, answer, size in answers:
        _move(
            participation,
            "done",
            examples=answer.examples,
            metrics=answer.metrics,
            content_sha256=answer.sha256,
            bytes_received=size,
            receipt=answer.receipt,
            rounding=participation.rounding | ({RECEIVED: answer.rounding.model_dump()} if answer.rounding else {}),
        )
    _rewrite([item for item, _, _ in answers], ANSWER_FIELDS)
    run_changed.send(sender=Run, run_id=lease.run_id)


def _rewrite(items: Sequence[Participation], fields: Sequence[str]) -> None:
    """Write these fields of rows that exist, in one statement that is quicker to build than `bulk_update`'s."""
    Participation.objects.bulk_create(items, update_conflicts=True, unique_fields=["id"], update_fields=fields)


@transaction.atomic
def note_absence(
    lease: Lease,
    participation: Participation,
    state: str,
    code: str,
    detail: str,
    *,
    size: int = 0,
    receipt: bytes = b"",
) -> None:
    """Note that a site refused, failed or did not answer, with its code; the audit log gets it in the same breath."""
    lease.hold()
    _settle(participation, state, code=code, detail=detail[:500], bytes_received=size, receipt=receipt)
    if state == "missing" and code != LOWERED:
        Participant.objects.filter(pk=participation.participant_id).update(last_missed_at=participation.answered_at)
    tell_site(participation, detail=detail[:200])


def _settle(participation: Participation, state: str, **values: object) -> None:
    _move(participation, state, **values)
    participation.save(update_fields=["state", "answered_at", *values])


def _move(participation: Participation, state: str, **values: object) -> None:
    states.PARTICIPATION.move(participation, state)
    participation.answered_at = max(timezone.now(), participation.asked_at)
    for name, value in values.items():
        setattr(participation, name, value)


@transaction.atomic
def close_phase(
    lease: Lease,
    round_: Round,
    result: PhaseResult,
    *,
    tested: tuple[Round, Mapping[str, object]] | None,
    artifact: Callable[[], Artifact],
) -> bool:
    """Keep what a phase brought, so that another worker can go on from here; after the last one the round happened.

    Args:
        tested: the round whose model the sites tested with the same message, and its metrics.
        artifact: the round's model, asked for when the round is committed.

    Returns:
        Whether the round is committed.
    """
    lease.hold()
    round_.metrics = {**round_.metrics, round_.phase: dict(result.metrics)}
    round_.candidate_sha256 = result.candidate or round_.candidate_sha256
    round_.shared_sha256 = result.shared or round_.shared_sha256
    round_.state_sha256 = result.state or round_.state_sha256
    if tested is not None:
        before, found = tested
        before.metrics = {**before.metrics, EVALUATE: dict(found)}
        before.save(update_fields=["metrics"])
    if round_.phase == EVALUATE:  # judged by what is written
        round_.save(update_fields=RESULT_FIELDS)
    if round_.phase == EVALUATE or tested is not None:
        halting.note_evaluation(round_.run)  # which may make this round the last, and that has one phase more
    if next_phase(round_) is None:
        _commit(round_, artifact())
        return True
    round_.save(update_fields=RESULT_FIELDS)
    return False


def _commit(round_: Round, artifact: Artifact) -> None:
    """The round happened: its model, its numbers and its audit event in the same transaction, once."""
    model = Model.objects.create(
        run=round_.run, round_number=round_.number, sha256=artifact.sha256, size=artifact.size,
        schema={name: [list(shape), dtype] for name, (shape, dtype) in artifact.schema.items()},
    )  # fmt: skip
    rows = round_.participations.all()
    if tests_before(round_, TRAIN):
        rows |= Participation.objects.filter(round=round_.before, phase=EVALUATE)
    settled = list(rows.values_list(*SETTLED_FIELDS))
    states.ROUND.move(round_, "committed")
    round_.model_out, round_.committed_at = model, timezone.now()
    own = [row for row in settled if row[0] == round_.number]
    round_.bytes_sent, round_.bytes_received = sum(row[5] for row in own), sum(row[6] for row in own)
    round_.duration_ms = _milliseconds(round_.committed_at - round_.started_at)
    round_.save()
    tell(
        round_.run,
        "runs:round:committed",
        round=round_.number,
        model_in=round_.model_in.sha256 if round_.model_in else "",
        model_out=model.sha256,
        strategy_state=round_.state_sha256,
        sites=[
            {"round": number, "phase": phase, "site": site, "state": state, "code": code}
            | ({"rounding": rounding} if rounding else {})
            | accounted(bytes(receipt), update)
            for number, phase, site, state, code, _, _, rounding, receipt, update in settled
        ],
        bytes_sent=round_.bytes_sent,
        bytes_received=round_.bytes_received,
        duration_ms=round_.duration_ms,
    )


def _milliseconds(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)


@transaction.atomic
def pause_run(lease: Lease) -> None:
    """The round at work is committed: now the run pauses, as somebody wished."""
    run = lease.locked_run()
    states.RUN.move(run, "paused")
    run.lease_owner, run.lease_until = "", None
    run.save(update_fields=["state", "lease_owner", "lease_until"])
    tell(run, "runs:run:paused")


@transaction.atomic
def complete_run(lease: Lease) -> None:
    run = lease.locked_run()
    _end(run, "completed", "", halting.epitaph(run))


@transaction.atomic
def fail_run(lease: Lease, code: str, reason: str) -> None:
    run = lease.locked_run()
    for round_ in run.round_set.filter(state="open"):
        states.ROUND.move(round_, "failed")
        round_.save(update_fields=["state"])
    _end(run, "failed", code, reason)


def _end(run: Run, state: str, code: str, reason: str) -> None:
    states.RUN.move(run, state)
    run.ended_at, run.reason_code, run.reason = timezone.now(), code, reason
    run.lease_owner, run.lease_until = "", None
    run.save(update_fields=["state", "ended_at", "reason_code", "reason", "lease_owner", "lease_until"])
    outcome = "done" if state == "completed" else "failed"
    tell(run, f"runs:run:{state}", outcome=outcome, code=code, reason=reason[:200])

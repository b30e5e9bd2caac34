"""The round engine: drives one run from its rows in PostgreSQL, one step at a time.

A step looks at what is written, does the next thing, and writes it down; nothing that matters is only in memory. So any
worker can go on where another stopped, and a long round never holds a worker: `drive` answers after its budget with the
number of seconds after which it wants to be called again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from federation.runs import attempts, drivers, journal, participants, phases
from federation.runs.aggregation import Aggregator
from federation.runs.exchange import Exchange
from federation.runs.flower import AttemptLost, SuperLink, SuperLinkError
from federation.runs.lease import Fenced, Lease, claim
from federation.runs.models import Attempt, Round, Run
from federation.runs.pace import Pace
from federation.runs.states import DRIVEN
from fedstudy_core.codes import CODES
from fedstudy_core.counts import counted
from fedstudy_core.errors import FedStudyError

log = structlog.get_logger(__name__)

SUPERLINK_PAUSE_S = 2.0
LOOK_AT_RUN_S = 0.5
WAITING_PAUSE_S = 1.0
# Between two of its tasks nobody drives a run for less than this, unless a worker is missing.
UNATTENDED_S = 30.0
INLINE_PAUSE_S = 1.0
DATABASE_PATIENCE_S, DATABASE_PAUSE_S = 20.0, 0.25


class RoundFailed(FedStudyError):
    """Too few sites answered (E_QUORUM_LOST) or nothing could be combined: the run ends here."""


def drive(run_id: uuid.UUID, *, budget_s: float = 20.0) -> float | None:
    """Drive the run for about `budget_s` seconds.

    Returns:
        Seconds until it should be driven again, or None when there is nothing left to do (or another worker does it).
    """
    if drivers.has_own_server(run_id):
        drivers.start(run_id)
        return None
    lease = claim(run_id)
    if lease is None:
        return None
    engine = Engine(lease, superlink())
    in_order = False
    try:
        pause = engine.work(time.monotonic() + budget_s)
        in_order = True
        return pause
    except Fenced:
        log.info("run_taken_over", run=str(run_id))
        return None
    finally:
        engine.close()
        _let_go(lease, in_order=in_order)


def _let_go(lease: Lease, *, in_order: bool) -> None:
    """Release the lease, as soon as the database is back if it is away: the run need not wait for its end."""
    give_up = time.monotonic() + DATABASE_PATIENCE_S
    while True:
        try:
            lease.release(in_order=in_order)
        except (OperationalError, InterfaceError):
            if time.monotonic() > give_up:
                raise
            connection.close()
            time.sleep(DATABASE_PAUSE_S)
        else:
            return


def superlink() -> SuperLink:
    """The SuperLink of the settings. Raises ImproperlyConfigured where they name none."""
    secret_file = settings.FEDSTUDY_SUPEREXEC_SECRET_FILE
    if secret_file is None:
        raise ImproperlyConfigured("The worker needs FEDSTUDY_SUPEREXEC_SECRET_FILE to drive runs.")
    return SuperLink(
        address=settings.FEDSTUDY_SUPERLINK_INTERNAL,
        ca_file=settings.FEDSTUDY_SUPERLINK_CA,
        secret_file=secret_file,
    )


@dataclass
class Engine:
    """Drives one run while it holds the lease."""

    lease: Lease
    link: SuperLink

    def __post_init__(self) -> None:
        self.run = Run.objects.select_related("version__script", "study").get(pk=self.lease.run_id)
        self.aggregator = Aggregator(self.run)
        self.pace = Pace()
        self.exchange: Exchange | None = None
        self.open_round: Round | None = None
        self.last_round: Round | None = None
        self.looked_at = float("-inf")
        self.asked_again = False
        self.heard_at = time.monotonic()

    def close(self) -> None:
        if self.exchange is not None:
            self.exchange.close()
            self.exchange = None

    def work(self, until: float) -> float | None:
        """Step until the run is over, the time is up, or nothing is expected for a while."""
        while True:
            try:
                pause = self.step()
            except AttemptLost as error:
                self._lose_attempt(error)
                return SUPERLINK_PAUSE_S
            except SuperLinkError as error:
                log.warning("superlink_trouble", run=str(self.run.pk), code=error.code, detail=error.detail)
                self.close()
                # Replies that were on their way when the connection broke are gone.
                journal.ask_again(self.lease, time.monotonic() - self.heard_at + SUPERLINK_PAUSE_S)
                return SUPERLINK_PAUSE_S
            except FedStudyError as error:
                journal.fail_run(self.lease, error.code, error.detail)
                return None
            except (OperationalError, InterfaceError, OSError, Fenced):
                raise  # the database or the disk is away for a while: the reconciler tries again
            except Exception:
                log.exception("engine_failed", run=str(self.run.pk))
                journal.fail_run(self.lease, "E_ENGINE", CODES["E_ENGINE"])
                return None
            if pause is None:
                return None
            if pause > INLINE_PAUSE_S or time.monotonic() + pause > until:
                return pause
            time.sleep(pause)

    def step(self) -> float | None:
        """Do the next thing; answer how long to wait after it (None: the run is over)."""
        if self.open_round is None or time.monotonic() - self.looked_at > LOOK_AT_RUN_S:
            self._look_at_run()
        if self.run.state == "waiting":
            return self._begin()
        attempt = self._attempt()
        if self.run.state == "pausing" and self._is_between_rounds():
            self._leave(attempt, journal.pause_run)
            return None
        round_ = self._round()
        if round_ is None:
            self._leave(attempt, journal.complete_run)
            return None
        return self._step_round(round_)

    def _look_at_run(self) -> None:
        """See whether somebody paused or stopped it. Every write is fenced as well; this only makes it soon."""
        self.run.refresh_from_db(fields=["state", "epoch", "lease_owner", "tests_apart"])
        if self.run.state not in DRIVEN or self.run.epoch != self.lease.epoch:
            raise Fenced
        self.looked_at = time.monotonic()

    def _begin(self) -> float:
        """Start when all sites are there, or at the end of the wait with a quorum of those that train."""
        absent = participants.absences(self.run)
        present = participants.trainers_there(self.run, absent)
        waited_out = timezone.now() >= participants.waits_until(self.run)
        if not absent or (waited_out and present >= self.run.quorum):
            journal.begin_run(self.lease, absent=[item.enrolment.site.name for item in absent])
            self._look_at_run()
            return 0.0
        if waited_out:
            names = ", ".join(f"{item.enrolment.site.name} ({code})" for item, code in absent.items())
            raise RoundFailed(
                "E_QUORUM", f"Only {present} of the needed {counted(self.run.quorum, 'site')} came: {names}."
            )
        return WAITING_PAUSE_S

    def _attempt(self) -> Attempt:
        if self.exchange is None:
            attempt = attempts.live_attempt(self.lease, self.run, self.link)
            if (self.lease.taken_over or self.lease.unattended_s > UNATTENDED_S) and not self.asked_again:
                journal.ask_again(self.lease, self.lease.unattended_s)
                self.asked_again = True
            self.exchange = Exchange(self.lease, self.run, self.link.drive(attempts.claim_of(attempt)), self.aggregator)
            self.attempt = attempt
        self.exchange.keep_alive()
        return self.attempt

    def _lose_attempt(self, error: AttemptLost) -> None:
        self.close()
        attempt = Attempt.objects.filter(run=self.run, state__in=["announced", "driving"]).first()
        if attempt is not None:
            journal.lose_attempt(self.lease, attempt, error.detail)

    def _round(self) -> Round | None:
        """The open round, or the next one, which is written down with its first phase; None after the last."""
        if self.open_round is None:
            self.open_round = self._last_or_next()
        return self.open_round

    def _last_or_next(self) -> Round | None:
        last = self.last_round or self.run.standing_rounds.select_related("model_in", "model_out").last()
        if last is None:
            return Round(run=self.run, number=0)
        last.run = self.run
        if last.state == "open":
            return last
        if last.number + 1 > self.run.last_round:
            return None
        round_ = Round(run=self.run, number=last.number + 1, model_in=last.model_out)
        vars(vars(last).get("before", last)).pop("before", None)  # two rounds back are enough
        round_.before = last
        return round_

    def _step_round(self, round_: Round) -> float:
        exchange = self._exchange()
        if not round_.phase:
            self._open_next_phase(round_)
        phase = phases.current_phase(round_)
        if exchange.goes_on(round_, phase, self._needed(phase)):
            moved = exchange.send_and_collect(round_, phase)
            self.heard_at = time.monotonic()
            return self.pace.next_pause(round_, moved=moved)
        if phase.asks == "in turn" and exchange.pass_on(round_, participants.new_deadline(self.run, round_)):
            return 0.0
        exchange.give_up_on_awaited(round_, phase)
        return self._close_phase(round_, phase)

    def _needed(self, phase: phases.Phase) -> int:
        return 1 if phase.asks == "one" else self.run.quorum

    def _exchange(self) -> Exchange:
        if self.exchange is None:
            raise AttemptLost("E_ATTEMPT_LOST", "No attempt is being driven.")
        return self.exchange

    def _open_next_phase(self, round_: Round) -> None:
        phase = phases.next_phase(round_)
        if phase is None:
            raise ValueError(f"{round_} has no phase to open")
        call = participants.roll_call(self.run, round_, phase)
        deadline = participants.new_deadline(self.run, round_)
        asked = journal.open_phase(self.lease, round_, phase, deadline, call, needed=self._needed(phase))
        self._exchange().begin(round_, asked)

    def _close_phase(self, round_: Round, phase: phases.Phase) -> float:
        """All have answered or the time is up: combine what came, go to the next phase, or commit the round."""
        rows = self._exchange().rows(round_)
        done = [item for item in rows if item.state == "done"]
        needed = self._needed(phase)
        if len(done) < needed:
            if phase.asks == "one" and self._ask_another(round_, phase):
                return 0.0
            raise RoundFailed(
                participants.shortfall_code(rows), participants.explain_shortfall(round_, len(done), needed)
            )
        result = self.aggregator.combine(round_, phase, done)
        tested = self._tested(round_)
        artifact = partial(self.aggregator.artifact, round_)
        if journal.close_phase(self.lease, round_, result, tested=tested, artifact=artifact):
            self.aggregator.forget(round_)
            self._exchange().forget()
            self.open_round, self.last_round = None, round_
        else:
            self._open_next_phase(round_)
        return 0.0

    def _tested(self, round_: Round) -> tuple[Round, dict[str, Any]] | None:
        """What the sites found of the model of the round before, where they tested it with this phase's message."""
        done = [item for item in self._exchange().testing(round_) if item.state == "done"]
        if not done:
            return None
        return done[0].round, self.aggregator.combine(done[0].round, phases.TEST, done).metrics

    def _ask_another(self, round_: Round, phase: phases.Phase) -> bool:
        present = participants.roll_call(self.run, round_, phase).present
        asked = {item.participant_id for item in self._exchange().rows(round_)}
        another = next((item for item in present if item.pk not in asked), None)
        if another is None:
            return False
        journal.ask_another(self.lease, round_, another, participants.new_deadline(self.run, round_))
        self._exchange().forget_rows()
        return True

    def _is_between_rounds(self) -> bool:
        return self.open_round is None and not self.run.round_set.filter(state="open").exists()

    def _leave(self, attempt: Attempt, write: Callable[[Lease], None]) -> None:
        """The run is complete, or pauses: write that down, and end its attempt."""
        write(self.lease)
        self._exchange().finish("completed")
        attempts.retire(attempt, self.link)

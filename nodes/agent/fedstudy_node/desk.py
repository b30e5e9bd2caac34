"""From a message to its reply: gate, script, check, receipt.

Every message is answered, and every answer carries a receipt signed by this node: the script's checked reply, a refusal
with its code, or a failure with its code. No text that a script wrote (an exception's, a print's, a name) is in any
answer.
"""

import hmac
import secrets
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from fedstudy_core import flower
from fedstudy_core.artifacts import digest_of
from fedstudy_core.codes import CODES
from fedstudy_core.errors import FedStudyError, Refusal
from fedstudy_core.flower import Order
from fedstudy_core.receipts import JournalHead, Receipt, sign_receipt
from fedstudy_core.sandbox.frames import Frame
from fedstudy_node import __version__
from fedstudy_node.children import Died, Failed, Outcome, Ready, Replied, StateKept
from fedstudy_node.control import Control
from fedstudy_node.egress import Allowance
from fedstudy_node.errors import FleetError
from fedstudy_node.flower import Incoming, Outgoing, RecordDict, message_head, refuse, reply_to
from fedstudy_node.gate import Gate, Permit, check_order
from fedstudy_node.home import Home, now_text
from fedstudy_node.ledger import Departure, Ledger
from fedstudy_node.names import words_of
from fedstudy_node.replies import Reply, model_of, model_sha256, read_reply
from fedstudy_node.runs import ActiveRun, Job, Runs

log = structlog.get_logger()

_LONGEST_DETAIL = 500


@dataclass(frozen=True)
class _Asked:
    """What is known of a message when its answer is written; less is known when it is refused early."""

    incoming: Incoming
    started_at: str
    order: Order | None = None
    permit: Permit | None = None
    script_sha256: str | None = None
    model_sha256: str | None = None


class Desk:
    """Answers messages. One for the agent; not thread-safe."""

    def __init__(self, home: Home, ledger: Ledger, gate: Gate, runs: Runs, control: Control | None = None) -> None:
        self._control = control or Control(home)
        self._settings = home.enrolled()
        self._home = home
        self._identity = home.identity_key()
        self._ledger = ledger
        self._gate = gate
        self._runs = runs
        self._digest_key = secrets.token_bytes(32)

    def rekey(self) -> None:
        """Sign by the key that is in use now."""
        self._identity = self._home.identity_key()

    def take(self, incoming: Incoming) -> Outgoing | None:
        """Take a message: return its answer, or None when the script now works on it.

        One that nobody foresaw is answered as well (E_AGENT): it must neither end the agent nor keep the run waiting.
        Raises FleetError, and sqlite3.Error when the ledger cannot be written: then nothing may be answered.
        """
        try:
            return self._take(incoming)
        except (FleetError, sqlite3.Error):
            raise
        except Exception:
            log.exception("message_not_understood", flower_run=str(incoming.run_id))
            return self._decline(_Asked(incoming, now_text()), "failed", Refusal("E_AGENT"))

    def _take(self, incoming: Incoming) -> Outgoing | None:
        run = self._runs.get(incoming.run_id)
        if run.job is not None:
            run.waiting.append(incoming)
            return None
        asked = _Asked(incoming, now_text(), script_sha256=run.script.sha256)
        try:
            order, content = flower.unwrap_order(incoming.content)
            check_order(order)
            asked = _Asked(incoming, asked.started_at, order, None, run.script.sha256)
            obstacle = self._control.obstacle(order.run)
            if obstacle is not None:
                raise obstacle
            permit = self._gate.check(
                order, run.script, message_type=incoming.message_type, for_client_app=run.info.is_server_app
            )
            run.named = order.run
            model = _checked_model(order, content)
            asked = _Asked(incoming, asked.started_at, order, permit, run.script.sha256, model)
            return self._ask(run, asked, order, permit, content)
        except FedStudyError as error:
            return self._decline(asked, "refused", error)

    def hear(self, run: ActiveRun) -> Iterator[Outgoing]:
        """Take in what a run's process said. Each answer is handed on before the next thing is looked at."""
        if run.child is None:
            return
        for outcome in run.child.receive():
            job = run.job
            try:
                answer = self._hear(run, outcome)
            except (FleetError, sqlite3.Error):
                raise
            except Exception:
                log.exception("script_not_understood", flower_run=str(run.info.run_id))
                answer = self._abandon(run, job, "failed", Refusal("E_AGENT"))
            if answer is not None:
                yield answer
        yield from self._next_waiting(run)

    def stop_overdue(self) -> Iterator[Outgoing]:
        """End the processes that work longer than their approval allows."""
        for run in self._runs:
            if run.job is not None and time.monotonic() > run.job.deadline:
                limit = run.job.permit.statement.limits.wall_s
                error = Refusal("E_WALL_CLOCK", f"The script worked longer than the approved {limit} s.")
                yield from self._stop(run, "failed", error)

    def stop_halted(self) -> Iterator[Outgoing]:
        """End the processes of runs that the site's people, or the portal, do not let go on, or took back."""
        for run in self._runs:
            obstacle = self._obstacle(run)
            if obstacle is not None and (run.child is not None or run.waiting):
                yield from self._stop(run, "refused", obstacle)

    def _obstacle(self, run: ActiveRun) -> Refusal | None:
        """Return why a run under way may not go on, None when it may."""
        obstacle = self._control.obstacle(run.named)
        return obstacle or (self._gate.withdrawn(run.permit) if run.permit is not None else None)

    def _stop(self, run: ActiveRun, outcome: str, error: Refusal) -> Iterator[Outgoing]:
        answer = self._abandon(run, run.job, outcome, error)
        if answer is not None:
            yield answer
        yield from self._next_waiting(run)

    def _abandon(self, run: ActiveRun, job: Job | None, outcome: str, error: Refusal) -> Outgoing | None:
        """End a run's process; return the answer to what it was working on."""
        self._runs.stop_child(run)
        return None if job is None else self._decline(_of(run, job), outcome, error)

    def _ask(self, run: ActiveRun, asked: _Asked, order: Order, permit: Permit, content: RecordDict) -> Outgoing | None:
        """Answer from memory, or hand the message to the script."""
        allowance = _allowance(run, order, permit, content)
        pieces = flower.pieces_of(content)
        digest = digest_of((permit.approval.encode(), *pieces))
        kept = self._ledger.kept_reply(run=order.run, round_=order.round, message_type=order.message_type, asked=digest)
        if kept is not None:
            return self._answer(asked, _checked(kept.content, allowance), kept.seconds)
        self._home.check_room(asked.incoming.bytes_in)
        self._gate.count(order, permit, digest)
        child = self._runs.start_child(run, permit)
        run.calls += 1
        run.job = Job(
            run.calls,
            asked.incoming,
            order,
            permit,
            allowance,
            digest,
            asked.model_sha256,
            asked.started_at,
            time.monotonic() + permit.statement.limits.wall_s,
        )
        header = {"kind": "call", "id": run.calls, "message": message_head(asked.incoming)}
        child.send(Frame(header, rest=pieces))
        return None

    def _next_waiting(self, run: ActiveRun) -> Iterator[Outgoing]:
        while run.waiting and run.job is None:
            answer = self.take(run.waiting[0])
            run.waiting.popleft()
            if answer is not None:
                yield answer

    def _hear(self, run: ActiveRun, outcome: Outcome) -> Outgoing | None:
        job = run.job
        match outcome:
            case Ready():
                return None
            case StateKept():
                run.state = outcome.state
                return None
            case Replied() if job is not None and outcome.call == job.call:
                run.job = None
                return self._finish(run, job, outcome)
            case Failed():
                return self._fail(run, job, outcome)
            case Died():
                return self._bury(run, outcome)
            case _:
                return None

    def _finish(self, run: ActiveRun, job: Job, replied: Replied) -> Outgoing:
        """Check a reply, keep it, and send it on."""
        asked = _of(run, job)
        try:
            self._gate.check_again(job.order, run.script)
            reply = _checked(replied.content, job.allowance)
        except FedStudyError as error:
            return self._decline(asked, "failed", error)
        seconds = _believable(replied.seconds, job)
        self._ledger.keep_reply(
            run=job.order.run,
            round_=job.order.round,
            message_type=job.order.message_type,
            asked=job.asked,
            content=reply.pieces,
            seconds=seconds,
        )
        return self._answer(asked, reply, seconds)

    def _fail(self, run: ActiveRun, job: Job | None, failed: Failed) -> Outgoing | None:
        """The script raised an exception: its text goes to this node's log, its digest and a code leave.

        One that belongs to no work under way was made up by the script, which could fill the log so.
        """
        if failed.call is not None and (job is None or failed.call != job.call):
            return self._bury(run, Died("the process spoke of a message that it did not have"))
        digest = hmac.new(self._digest_key, failed.text.encode(), "sha256").hexdigest()[:16]
        log.error("script_failed", flower_run=str(run.info.run_id), digest=digest, text=failed.text)
        if failed.call is None:  # it could not be imported
            self._runs.stop_child(run)
        if job is None:
            return None
        run.job = None
        if failed.out_of_memory:
            error = Refusal("E_MEMORY", "The script needed more memory than approved.")
        else:
            error = Refusal("E_SCRIPT", f"The script failed; the site's log has the text under {digest}.")
        return self._decline(_of(run, job), "failed", error)

    def _bury(self, run: ActiveRun, died: Died) -> Outgoing | None:
        log.error("script_process_ended", flower_run=str(run.info.run_id), detail=died.detail)
        obstacle = self._obstacle(run)
        if obstacle is not None:
            return self._abandon(run, run.job, "refused", obstacle)
        return self._abandon(run, run.job, "failed", Refusal(died.code))

    def _answer(self, asked: _Asked, reply: Reply, seconds: float) -> Outgoing:
        """Write the answer with content."""
        size, examples = reply.size, reply.cargo.examples
        head = self._note(asked, "done", reply=reply)
        receipt = self._receipt(
            asked, head, outcome="done", update=reply.update_sha256, examples=examples, bytes_out=size
        )
        return reply_to(asked.incoming, flower.wrap_reply(reply.content, reply.pieces, receipt), seconds)

    def _decline(self, asked: _Asked, outcome: str, error: FedStudyError) -> Outgoing:
        """Write the answer without content: a code and a sentence that says nothing about the site."""
        detail = error.detail if isinstance(error, Refusal) else CODES[error.code]
        head = self._note(asked, outcome, error.code)
        receipt = self._receipt(asked, head, outcome=outcome, code=error.code)
        log.warning(outcome, code=error.code, detail=error.detail, flower_run=str(asked.incoming.run_id))
        return refuse(asked.incoming, flower.error_reason(error.code, detail, receipt))

    def _receipt(
        self,
        asked: _Asked,
        head: JournalHead,
        *,
        outcome: str,
        code: str | None = None,
        update: str | None = None,
        examples: int | None = None,
        bytes_out: int = 0,
    ) -> bytes:
        order, permit = asked.order, asked.permit
        receipt = Receipt.model_validate(
            {
                "v": 1,
                "run": order.run if order else "",
                "flower_run": str(asked.incoming.run_id),
                "round": order.round if order else 0,
                "phase": order.phase if order else "",
                "study": order.study if order else "",
                "site": self._settings.site,
                "node": self._settings.node,
                "outcome": outcome,
                "code": code,
                "script_sha256": asked.script_sha256,
                "approval": permit.approval if permit else None,
                "dataset": _dataset_of(permit),
                "model_sha256": asked.model_sha256,
                "update_sha256": update,
                "examples": examples,
                "bytes_in": asked.incoming.bytes_in,
                "bytes_out": bytes_out,
                "started_at": asked.started_at,
                "ended_at": now_text(),
                "sandbox": self._runs.sandbox.level,
                "agent_version": __version__,
                "sequence": self._ledger.next_number("receipt"),
                "journal": head.model_dump(),
            }
        )
        return sign_receipt(receipt, self._identity)

    def _note(self, asked: _Asked, outcome: str, code: str = "", reply: Reply | None = None) -> JournalHead:
        order, permit = asked.order, asked.permit
        return self._ledger.note_departure(
            Departure(
                study=order.study if order else "",
                run=order.run if order else "",
                flower_run=str(asked.incoming.run_id),
                round=order.round if order else 0,
                message_type=asked.incoming.message_type,
                approval=permit.approval if permit else "",
                outcome=outcome,
                code=code,
                bytes_in=asked.incoming.bytes_in,
                bytes_out=reply.size if reply else 0,
                update_sha256=reply.update_sha256 if reply else "",
                numbers=reply.cargo.numbers if reply else 0,
                contents=reply.cargo.manifest() if reply else "",
            )
        )


def _of(run: ActiveRun, job: Job) -> _Asked:
    return _Asked(job.incoming, job.started_at, job.order, job.permit, run.script.sha256, job.model_sha256)


def _dataset_of(permit: Permit | None) -> dict[str, str] | None:
    return {"id": permit.dataset.id, "fingerprint": permit.dataset.fingerprint} if permit else None


def _checked_model(order: Order, content: RecordDict) -> str | None:
    """Return the digest of the model that came; it is the one that the message names (E_ORDER)."""
    computed = model_sha256(model_of(content))
    if order.model_sha256 and computed != order.model_sha256:
        raise Refusal("E_ORDER", "The model that came is not the one that the message names.")
    return computed


def _allowance(run: ActiveRun, order: Order, permit: Permit, content: RecordDict) -> Allowance:
    """Say what the reply to a message may hold."""
    statement = permit.statement
    return Allowance(
        phase=order.phase,
        message_type=order.message_type,
        outputs=statement.outputs,
        declaration=run.bundle.declaration,
        min_rows=statement.privacy.min_rows,
        rows=permit.dataset.rows,
        model=model_of(content),
        words=words_of(run.fab),
    )


def _checked(packed: bytes | bytearray | memoryview, allowance: Allowance) -> Reply:
    """Return a reply that may leave. Raises Refusal without a word of the script: those are in the site's log."""
    try:
        return read_reply(packed, allowance)
    except Refusal as error:
        log.error("reply_held_back", code=error.code, detail=error.detail[:_LONGEST_DETAIL])
        raise Refusal(error.code) from None


def _believable(seconds: float, job: Job) -> float:
    """Return how long the script says it worked, to the hundredth; where that cannot be, how long it was waited for."""
    waited = time.monotonic() - (job.deadline - job.permit.statement.limits.wall_s)
    return round(seconds if 0 <= seconds <= waited else waited, 2)

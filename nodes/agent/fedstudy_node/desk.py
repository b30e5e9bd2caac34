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
from dataclasses import replace

import structlog

from fedstudy_core import flower
from fedstudy_core.artifacts import digest_of
from fedstudy_core.errands import Answer, split_orders
from fedstudy_core.errors import FedStudyError, Refusal
from fedstudy_core.flower import Order
from fedstudy_core.freight import told_apart
from fedstudy_node.accounting import Accounting, Asked
from fedstudy_node.children import Died, Failed, Outcome, Ready, Replied, StateKept
from fedstudy_node.control import Control
from fedstudy_node.egress import Allowance
from fedstudy_node.errors import FleetError
from fedstudy_node.flower import Incoming, Outgoing, RecordDict, instead_of, message_head
from fedstudy_node.gate import Gate, Permit, check_order
from fedstudy_node.home import Home, now_text
from fedstudy_node.ledger import Ledger
from fedstudy_node.names import words_of
from fedstudy_node.replies import Reply, as_meant, model_of, read_reply
from fedstudy_node.runs import ActiveRun, Job, Runs, Visit

log = structlog.get_logger()

_LONGEST_DETAIL = 500


class Desk:
    """Answers messages. One for the agent; not thread-safe."""

    def __init__(self, home: Home, ledger: Ledger, gate: Gate, runs: Runs, control: Control | None = None) -> None:
        self._control = control or Control(home)
        self._home = home
        self._accounting = Accounting(home, ledger, runs.sandbox.level)
        self._ledger = ledger
        self._gate = gate
        self._runs = runs
        self._digest_key = secrets.token_bytes(32)

    def rekey(self) -> None:
        """Sign by the key that is in use now."""
        self._accounting.rekey()

    def take(self, incoming: Incoming) -> Outgoing | None:
        """Take a message: return its answer, or None when the script now works on it.

        One that nobody foresaw is answered as well (E_AGENT): it must neither end the agent nor keep the run waiting.
        Raises FleetError, and sqlite3.Error when the ledger cannot be written: then nothing may be answered.
        """
        run = self._runs.get(incoming.run_id)
        if run.visit is not None:
            run.waiting.append(incoming)
            return None
        try:
            return self._receive(run, incoming)
        except (FleetError, sqlite3.Error):
            run.visit = None
            raise
        except Exception:
            log.exception("message_not_understood", flower_run=str(incoming.run_id))
            run.visit = Visit(incoming)
            return self._settle(run, self._decline(_unread(run, incoming), "failed", Refusal("E_AGENT")))

    def _receive(self, run: ActiveRun, incoming: Incoming) -> Outgoing | None:
        run.visit = Visit(incoming)
        try:
            run.visit.errands.extend(split_orders(incoming.content, incoming.freight))
        except FedStudyError as error:
            return self._settle(run, self._decline(_unread(run, incoming), "refused", error))
        return self._go_on(run, run.visit)

    def _settle(self, run: ActiveRun, answer: Answer) -> Outgoing | None:
        """Put an errand's answer to the others of its message and go on with the next."""
        run.at_hand.answers.append(answer)
        return self._go_on(run, run.at_hand)

    def _go_on(self, run: ActiveRun, visit: Visit) -> Outgoing | None:
        """Take up the message's next errand; when all are answered, return the reply."""
        while visit.errands:
            answer = self._begin(run, visit, *visit.errands.popleft())
            if answer is None:
                return None
            visit.answers.append(answer)
        run.visit = None
        return visit.reply()

    def _begin(self, run: ActiveRun, visit: Visit, order: Order, content: RecordDict) -> Answer | None:
        """Answer an errand at once, or hand it to the script."""
        asked = _unread(run, visit.incoming)
        try:
            check_order(order)
            last = not visit.errands
            message_type = visit.incoming.message_type if last else order.message_type
            bytes_in = visit.incoming.bytes_in if last else 0
            asked = replace(asked, order=order, message_type=message_type, bytes_in=bytes_in)
            obstacle = self._control.obstacle(order.run)
            if obstacle is not None:
                raise obstacle
            permit = self._gate.check(
                order, run.script, message_type=message_type, for_client_app=run.info.is_server_app
            )
            run.named = order.run
            content = as_meant(content, order.transport)
            asked = replace(asked, permit=permit, model_sha256=_checked_model(order, content, visit))
            return self._ask(run, asked, order, permit, content)
        except FedStudyError as error:
            return self._decline(asked, "refused", error)

    def take_back(self, reply: Outgoing) -> Outgoing:
        """Return what goes in the place of a reply whose content is larger than the portal takes."""
        size = reply.beside[0].size if reply.beside else 0
        error = Refusal("E_TOO_LARGE", f"The answer has {size} bytes, more than the portal takes.")
        receipt, kind = flower.receipt_of(reply.message.content), reply.message.metadata.message_type
        return instead_of(reply, self._accounting.take_back(receipt, kind, error).error)

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
            yield from self._hand_on(run, answer)
        yield from self._next_waiting(run)

    def _hand_on(self, run: ActiveRun, answer: Answer | None) -> Iterator[Outgoing]:
        reply = None if answer is None else self._settle(run, answer)
        if reply is not None:
            yield reply

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
        yield from self._hand_on(run, self._abandon(run, run.job, outcome, error))
        yield from self._next_waiting(run)

    def _abandon(self, run: ActiveRun, job: Job | None, outcome: str, error: Refusal) -> Answer | None:
        """End a run's process; return the answer to what it was working on."""
        self._runs.stop_child(run)
        return None if job is None else self._decline(job.asked, outcome, error)

    def _ask(self, run: ActiveRun, asked: Asked, order: Order, permit: Permit, content: RecordDict) -> Answer | None:
        """Answer from memory, or hand the errand to the script."""
        allowance = _allowance(run, order, permit, content)
        pieces = flower.pieces_of(content)
        named = told_apart(pieces, run.at_hand.incoming.freight)
        digest = digest_of((permit.approval.encode(), *named))
        kept = self._ledger.kept_reply(run=order.run, round_=order.round, message_type=order.message_type, asked=digest)
        if kept is not None:
            run.at_hand.seconds += kept.seconds
            return self._accounting.answer(asked, _checked(kept.content, allowance))
        self._home.check_room(run.at_hand.incoming.bytes_in)
        self._gate.count(order, permit, digest)
        child = self._runs.start_child(run, permit)
        run.calls += 1
        deadline = time.monotonic() + permit.statement.limits.wall_s
        run.job = Job(run.calls, asked, order, permit, allowance, digest, deadline)
        message = message_head(run.at_hand.incoming, order.message_type)
        child.call(run.calls, message, content, keep=run.at_hand.wanted_again(content))
        return None

    def _decline(self, asked: Asked, outcome: str, error: FedStudyError) -> Answer:
        return self._accounting.decline(asked, outcome, error)

    def _next_waiting(self, run: ActiveRun) -> Iterator[Outgoing]:
        while run.waiting and run.visit is None:
            answer = self.take(run.waiting[0])
            run.waiting.popleft()
            if answer is not None:
                yield answer

    def _hear(self, run: ActiveRun, outcome: Outcome) -> Answer | None:
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

    def _finish(self, run: ActiveRun, job: Job, replied: Replied) -> Answer:
        """Check a reply, keep it, and send it on."""
        try:
            self._gate.check_again(job.order, run.script)
            reply = _checked(replied.content, job.allowance)
        except FedStudyError as error:
            return self._decline(job.asked, "failed", error)
        seconds = _believable(replied.seconds, job)
        self._ledger.keep_reply(
            run=job.order.run,
            round_=job.order.round,
            message_type=job.order.message_type,
            asked=job.digest,
            content=reply.kept,
            seconds=seconds,
        )
        run.at_hand.seconds += seconds
        answer = self._accounting.answer(job.asked, reply)
        flower.let_go(reply.content)
        return answer

    def _fail(self, run: ActiveRun, job: Job | None, failed: Failed) -> Answer | None:
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
        return self._decline(job.asked, "failed", error)

    def _bury(self, run: ActiveRun, died: Died) -> Answer | None:
        log.error("script_process_ended", flower_run=str(run.info.run_id), detail=died.detail)
        obstacle = self._obstacle(run)
        if obstacle is not None:
            return self._abandon(run, run.job, "refused", obstacle)
        return self._abandon(run, run.job, "failed", Refusal(died.code))


def _unread(run: ActiveRun, incoming: Incoming) -> Asked:
    """What is known of a message before its order is read."""
    script = run.script.sha256
    return Asked(incoming.run_id, incoming.message_type, incoming.bytes_in, now_text(), script_sha256=script)


def _checked_model(order: Order, content: RecordDict, visit: Visit) -> str | None:
    """Return the digest of the model that came; it is the one that the message names (E_ORDER)."""
    computed = visit.digest_of_model(content)
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
        transport=order.transport,
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

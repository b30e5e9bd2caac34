"""The conversation with the sites in one phase: send what is due, take in what came, write down what became of it."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

import structlog
from django.utils import timezone
from flwr.app import RecordDict

from federation.runs import journal, participants, tickets
from federation.runs.aggregation import Aggregator
from federation.runs.flower import Outgoing, Reply, Session
from federation.runs.freight import Loading
from federation.runs.journal import Asked
from federation.runs.lease import Lease
from federation.runs.messages import Answer, Taken, check_receipt, verify_by_any
from federation.runs.models import SENT, Participation, Round, Run
from federation.runs.phases import TEST, Phase
from federation.runs.pooled import pool_is_stale
from federation.runs.signals import messages_sent
from fedstudy_core import flower as records
from fedstudy_core.canonical import plain_text
from fedstudy_core.codes import CODES
from fedstudy_core.errands import join_orders, split_answers
from fedstudy_core.errors import FedStudyError, Refusal
from fedstudy_core.levels import allows
from fedstudy_core.receipts import Receipt
from fedstudy_core.updates import check_weight
from nodes.registry.boots import last_start

log = structlog.get_logger(__name__)

LOOK_FOR_NODES_S = 1.0

Errand = tuple[RecordDict, records.Order]


class Exchange:
    """Sends and collects over one driven attempt."""

    def __init__(self, lease: Lease, run: Run, session: Session, aggregator: Aggregator) -> None:
        self._lease = lease
        self._run = run
        self._session = session.__enter__()
        self._aggregator = aggregator
        self._loading = Loading(run)
        self._rows: list[Participation] = []
        self._testing: dict[int, Participation] = {}
        self._rows_of: tuple[object, str] | None = None
        self._rows_at = 0.0
        self._again_at: dict[int, float] = {}  # by participation: when a node that could not be reached is tried again

    def close(self) -> None:
        self._session.__exit__(None, None, None)

    def keep_alive(self) -> None:
        self._session.keep_alive()

    def forget(self) -> None:
        """Offer the nodes nothing any more: the round is committed."""
        self._loading.forget()

    def finish(self, details: str) -> None:
        self._session.finish(completed=True, details=details)

    def rows(self, round_: Round) -> list[Participation]:
        """The open phase's participations. Whoever holds the lease is the only one who changes them, so they are read
        once; again from time to time while somebody is awaited, whose node may have gone, come back or started anew.
        """
        awaited = any(item.state == "awaited" for item in self._rows)
        old = awaited and time.monotonic() - self._rows_at > LOOK_FOR_NODES_S
        if self._rows_of != (round_.pk, round_.phase) or old:
            self.begin(round_, Asked(participants.settled(round_), participants.testing(round_)))
        return self._rows

    def begin(self, round_: Round, asked: Asked) -> None:
        """Go on with the participations of the open phase, as they are."""
        self._rows, self._rows_of = list(asked.rows), (round_.pk, round_.phase)
        self._testing = {item.participant_id: item for item in asked.tests}
        for item in self._rows:
            if item.participant_id in self._testing:
                self._testing[item.participant_id].participant = item.participant
        self._rows_at = time.monotonic()

    def testing(self, round_: Round) -> list[Participation]:
        """What became of the test that went with the open phase's messages: of the model of the round before."""
        self.rows(round_)
        return list(self._testing.values())

    def forget_rows(self) -> None:
        """Read the participations anew: somebody else is asked as well."""
        self._rows_of = None

    def goes_on(self, round_: Round, phase: Phase, needed: int) -> bool:
        """Whether to wait on: until the deadline for whoever can answer, and for absent sites while too few have."""
        now = timezone.now()
        rows = self.rows(round_)
        awaited = [item for item in rows if item.state == "awaited"]
        if not awaited or now >= _deadline(round_):
            return False
        if sum(item.state == "done" for item in rows) < needed or any(item.message_id for item in awaited):
            return True
        return phase.asks != "one" and any(
            item.pk not in self._again_at and not participants.absence(item.participant, now, phase.wire_name)
            for item in awaited
        )

    def send_and_collect(self, round_: Round, phase: Phase) -> bool:
        """Send to whom something is due and take in the replies there are; answer whether anything moved."""
        awaited = [item for item in self.rows(round_) if item.state == "awaited"]
        due = self._due(phase, awaited)
        if due:
            if phase.asks == "in turn":
                journal.begin_turn(self._lease, round_, participants.new_deadline(self._run, round_))
            self._send(round_, phase, due)
        by_message = {item.message_id: item for item in awaited if item.message_id and item.state == "awaited"}
        answers: list[tuple[Participation, Taken, int]] = []
        moved = bool(due)
        for reply in self._session.pull(by_message):
            for row, of, errand, part in self._parts(by_message[reply.message_id], round_, phase, reply):
                answers += self._take_in(row, of, errand, part)
            moved = True
        if answers:
            journal.note_answers(self._lease, answers)
        return moved

    def _due(self, phase: Phase, awaited: list[Participation]) -> list[Participation]:
        """Who is to be sent something now: whoever is there and was sent nothing yet, one at a time where one does.

        A node that was revoked or frozen since it was sent something is not waited for, nor is a site whose level has
        fallen below what it was asked for, nor a pool node whose table holds rows that were taken back.
        """
        now, due, sent = timezone.now(), [], []
        for item in awaited:
            has_it, participant = _was_sent(item), item.participant
            stands = has_it and participant.node.may_act and allows(participant.level, phase.wire_name)
            stands = stands and not pool_is_stale(participant)
            code = "" if stands else participants.absence(participant, now, phase.wire_name)
            if code not in ("", *participants.MAY_END):
                self._miss(item, code, CODES[code])
            elif has_it:
                sent.append(item)
            elif not code and time.monotonic() >= self._again_at.get(item.pk, 0.0):
                due.append(item)
        if phase.asks == "all":
            return due
        return [] if sent else due[:1]

    def pass_on(self, round_: Round, deadline: datetime) -> bool:
        """Give up on the site whose turn it was; answer whether the model goes on to another."""
        awaited = [item for item in self.rows(round_) if item.state == "awaited"]
        late = [item for item in awaited if item.message_id]
        if not late or len(late) == len(awaited):
            return False
        for item in late:
            self._give_up_on(round_, item)
        journal.begin_turn(self._lease, round_, deadline)
        return True

    def give_up_on_awaited(self, round_: Round, phase: Phase) -> None:
        now = timezone.now()
        for item in self.rows(round_):
            if item.state != "awaited":
                continue
            if item.pk in self._again_at:
                self._note_unreachable(item)
                continue
            code = "" if item.message_id else participants.absence(item.participant, now, phase.wire_name)
            if code == participants.AWAY:
                self._miss(item, code, "The site's node did not come back in time.")
            elif code == participants.LEVEL_AWAITED:
                self._miss(item, code, CODES[code])
            else:
                self._give_up_on(round_, item)

    def _give_up_on(self, round_: Round, item: Participation) -> None:
        waited = max((_deadline(round_) - item.asked_at).total_seconds(), 0)
        self._miss(item, "E_DEADLINE", f"No answer within {waited:.0f} seconds.")

    def _miss(self, item: Participation, code: str, detail: str, *, size: int = 0) -> None:
        """Note that a site is missing, for everything that its message asks."""
        if self._is_to_test(item):
            journal.note_absence(self._lease, self._testing[item.participant_id], "missing", code, detail)
        journal.note_absence(self._lease, item, "missing", code, detail, size=size)

    def _send(self, round_: Round, phase: Phase, unsent: list[Participation]) -> None:
        contents = self._contents(round_, phase, unsent)
        outgoing = [
            Outgoing(
                node_id=item.participant.node.flower_node_id,
                message_type=phase.message_type,
                content=content,
                group=str(round_.number),
            )
            for item, (content, _) in zip(unsent, contents, strict=True)
        ]
        sent = self._session.push(outgoing)
        accepted = [
            (item, message_id, size + beside)
            for item, (message_id, size), (_, beside) in zip(unsent, sent, contents, strict=True)
        ]
        messages_sent.send(
            sender=Exchange, node_ids=[item.participant.node_id for item, message_id, _ in accepted if message_id]
        )
        tests = [
            (self._testing[item.participant_id], message_id, 0)
            for item, message_id, _ in accepted
            if self._is_to_test(item)
        ]
        journal.note_sent(self._lease, [entry for entry in [*accepted, *tests] if entry[1]])
        for item, message_id, _ in accepted:
            if not message_id:
                self._not_reached(phase, item)

    def _not_reached(self, phase: Phase, item: Participation, size: int = 0) -> None:
        """The SuperLink does not know a node, or not as being there: until the deadline it may be back any moment.

        So it is after a restart of the SuperLink, which knows nobody until nodes have introduced themselves anew. Where
        another site can be asked instead, it is.
        """
        if phase.asks == "all":
            journal.lose_message(self._lease, item)
            self._again_at[item.pk] = time.monotonic() + LOOK_FOR_NODES_S
        else:
            self._note_unreachable(item, size)

    def _note_unreachable(self, item: Participation, size: int = 0) -> None:
        detail = "The SuperLink could not reach the site's node."
        self._miss(item, "E_NODE_UNAVAILABLE", detail, size=size)

    def _is_to_test(self, item: Participation) -> bool:
        test = self._testing.get(item.participant_id)
        return test is not None and test.state == "awaited"

    def _contents(self, round_: Round, phase: Phase, unsent: list[Participation]) -> list[tuple[RecordDict, int]]:
        """The message to each site: what the phase asks, and with it the test of the round before; and how many bytes
        travel beside it."""
        until = _deadline(round_)
        mains = self._errands(round_, phase, unsent, until)
        tests = [self._testing[item.participant_id] for item in unsent if self._is_to_test(item)]
        before = self._errands(tests[0].round, TEST, [i for i in unsent if self._is_to_test(i)], until) if tests else []
        by_site = dict(zip((test.participant_id for test in tests), before, strict=True))
        return [
            self._wrapped(item, main, by_site.get(item.participant_id))
            for item, main in zip(unsent, mains, strict=True)
        ]

    def _wrapped(self, item: Participation, main: Errand, before: Errand | None) -> tuple[RecordDict, int]:
        content, order = main
        packed = self._loading.pack(content)
        self._loading.expect(item)
        sha256, beside = ("", 0) if packed.is_small else (packed.sha256, packed.size)
        order = replace(order, ticket=tickets.issue(item, sha256))
        if before is None:
            return records.wrap_order(content, order, packed), beside
        return join_orders(before, (content, order), packed), beside

    def _errands(self, round_: Round, phase: Phase, asked: list[Participation], until: datetime) -> list[Errand]:
        contents = self._aggregator.contents(round_, phase, [item.participant for item in asked])
        carried = self._aggregator.carry(round_, phase, contents)
        for item, (_, rounding) in zip(asked, carried, strict=True):
            item.rounding = {} if rounding is None else {SENT: rounding.told().model_dump()}
        orders = [self._order(round_, phase, item, until) for item in asked]
        return [(content, order) for (content, _), order in zip(carried, orders, strict=True)]

    def _order(self, round_: Round, phase: Phase, item: Participation, until: datetime) -> records.Order:
        approval = item.participant.approval
        if approval is None:
            raise Refusal("E_NOT_APPROVED")
        return records.Order(
            study=str(self._run.study_id),
            run=str(self._run.pk),
            round=round_.number,
            phase=phase.wire_name,
            message_type=phase.message_type,
            sites=self._aggregator.sites_mixed(item.participant),
            rounds=self._run.rounds,
            deadline=until.isoformat(),
            model_sha256=self._aggregator.model_sha256(round_, phase),
            approval=bytes(approval.envelope),
            dataset=str(approval.dataset_id),
            transport=self._aggregator.transport(phase),
        )

    def _parts(
        self, item: Participation, round_: Round, phase: Phase, reply: Reply
    ) -> list[tuple[Participation, Round, Phase, Reply]]:
        """A reply as answers to what its message asked, the test of the round before first."""
        test = self._testing.get(item.participant_id)
        if test is None or test.state != "awaited" or test.message_id != item.message_id:
            return [(item, round_, phase, reply)]
        before, main = reply, reply
        if reply.content is not None:
            try:
                before, main = (_part(reply, part) for part in split_answers(reply.content))
            except Refusal:
                before = main = _part(reply, "")
        return [(test, test.round, TEST, replace(before, size=0)), (item, round_, phase, main)]

    def _take_in(
        self, item: Participation, round_: Round, phase: Phase, reply: Reply
    ) -> list[tuple[Participation, Taken, int]]:
        """The reply as a good answer to note, or nothing: then it was noted as what it is."""
        if reply.content is None:
            self._take_in_error(item, phase, reply)
            return []
        try:
            freight = self._loading.unload(item, reply.content)
            answer = self._aggregator.read(round_, phase, reply.content, freight)
            if answer.examples is not None:
                check_weight(answer.examples, participants.most_rows(item.participant))
            receipt = self._check_receipt_by_present_keys(item, round_, phase, answer)
        except Refusal as refusal:
            journal.note_absence(self._lease, item, "failed", refusal.code, refusal.detail, size=reply.size)
            return []
        self._aggregator.keep(item, answer, freight)
        size = reply.size + (len(freight.data) if freight else 0)
        return [(item, Taken.of(answer, receipt.rounding), size)]

    def _check_receipt_by_present_keys(
        self, item: Participation, round_: Round, phase: Phase, answer: Answer
    ) -> Receipt:
        """Check the receipt; a node may have changed its keys since its row was read."""
        try:
            return self._check_receipt(item, round_, phase, answer)
        except Refusal:
            item.participant.node.refresh_from_db()
            return self._check_receipt(item, round_, phase, answer)

    def _check_receipt(self, item: Participation, round_: Round, phase: Phase, answer: Answer) -> Receipt:
        return check_receipt(
            answer.receipt,
            public_keys=item.participant.node.identity_keys(since=item.asked_at),
            expected={
                "run": str(self._run.pk),
                "round": round_.number,
                "phase": phase.wire_name,
                "outcome": "done",
                "update_sha256": answer.packed.sha256,
                "transport": self._aggregator.transport(phase),
            },
        )

    def _take_in_error(self, item: Participation, phase: Phase, reply: Reply) -> None:
        """A refusal or failure: the node's word counts if it signed it, otherwise it is only a missing answer."""
        if not reply.from_node:
            self._not_reached(phase, item, reply.size)
            return
        try:
            error = records.parse_error_reason(reply.error)
            receipt = verify_by_any(error.receipt, item.participant.node.identity_keys(since=item.asked_at))
        except FedStudyError as problem:
            log.warning("unreadable_error_reply", run=str(self._run.pk), code=problem.code)
            journal.note_absence(
                self._lease, item, "failed", "E_REPLY", "The node's error is not signed by it.", size=reply.size
            )
            return
        state = "refused" if receipt.outcome == "refused" else "failed"
        code, detail = receipt.code or error.code, plain_text(error.detail)
        if code not in CODES:
            code, detail = "E_REPLY", "The node gives a reason that is not known here."
        journal.note_absence(self._lease, item, state, code, detail, size=reply.size, receipt=error.receipt)


def _part(reply: Reply, part: RecordDict | str) -> Reply:
    """One of a reply's answers as a reply of its own."""
    return replace(reply, content=None, error=part) if isinstance(part, str) else replace(reply, content=part)


def _was_sent(item: Participation) -> bool:
    """Whether the site has its message; one from before its node's last start, or to a replaced key, is lost."""
    node = item.participant.node
    lost_at = [moment for moment in (node.rotated_at, last_start(node.boots)) if moment is not None]
    return bool(item.message_id) and all(moment <= item.asked_at for moment in lost_at)


def _deadline(round_: Round) -> datetime:
    if round_.deadline_at is None:
        raise ValueError(f"{round_} has no open phase")
    return round_.deadline_at

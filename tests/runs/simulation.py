"""A SuperLink and its sites in one process, for the engine's tests of quorum, deadlines, refusals and take-over.

It keeps the real one's manners, which `tests/contract` holds: a reply is handed out once, an unknown node gets an empty
message id, a lost token is answered by AttemptLost. What travels is what really travels: packed contents and receipts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from federation.runs.flower import AttemptLost, Claim, Outgoing, Reply
from fedstudy_core import flower as records
from fedstudy_core.carriage import narrowed_record
from fedstudy_core.errands import ERROR, split_orders
from fedstudy_core.keys import Ed25519PrivateKey, public_text
from fedstudy_core.receipts import Receipt, sign_receipt
from fedstudy_core.transport import HALF, Rounding
from fedstudy_node.replies import as_meant
from tests.core.builders import NODE, SITE, STUDY

ROUNDED = Rounding(absolute=0.25, relative=2**-12, vanished=1).told()

Behaviour = Callable[["Site", records.Order, RecordDict], Reply | None]


def together(answers: Sequence[Reply]) -> Reply:
    """The answers to a message's errands as one reply, however they look."""
    *before, main = answers
    if not before or not main.from_node:
        return main
    content = RecordDict(dict(main.content) if main.content is not None else {records.RECEIPT: _error(main)})
    first = before[0].content
    content[records.BEFORE] = _error(before[0]) if first is None else first.get(records.RECEIPT, ConfigRecord())
    return replace(main, content=content, error="")


def _error(reply: Reply) -> ConfigRecord:
    return ConfigRecord({ERROR: reply.error})


@dataclass
class Site:
    """A simulated node. Its behaviour may be replaced; by default it adds its number to the parameters."""

    node_id: str
    key: Ed25519PrivateKey
    behave: Behaviour | None = None
    asked: list[tuple[int, str]] = field(default_factory=list)

    @property
    def number(self) -> int:
        return int(self.node_id) - 100

    def answer(self, order: records.Order, content: RecordDict, message_id: str) -> Reply | None:
        self.asked.append((order.round, order.message_type))
        if self.behave is not None:
            reply = self.behave(self, order, content)
            return reply and Reply(message_id, reply.content, reply.error, reply.from_node, reply.size)
        return Reply(message_id, self.done(order, honest(self, order, content)), "", True, 100)

    def done(self, order: records.Order, content: RecordDict, **changes: object) -> RecordDict:
        packed = records.Packed(records.pieces_of(content))
        receipt = self.receipt(order, outcome="done", update_sha256=packed.sha256, **changes)
        return records.wrap_reply(packed, receipt)

    def refuse(self, order: records.Order, code: str, outcome: str = "refused") -> Reply:
        reason = records.error_reason(code, "No.", self.receipt(order, outcome=outcome, code=code))
        return Reply("", None, reason, True, 10)

    def receipt(self, order: records.Order, **changes: object) -> bytes:
        values: dict[str, object] = {
            "run": order.run,
            "flower_run": "1",
            "round": order.round,
            "phase": order.phase,
            "study": STUDY,
            "site": SITE,
            "node": NODE,
            "started_at": "2030-01-01T00:00:00Z",
            "ended_at": "2030-01-01T00:00:01Z",
            "sandbox": "S0",
            "agent_version": "0",
            "sequence": len(self.asked),
            "transport": order.transport,
            "rounding": ROUNDED if order.transport == HALF and order.phase == "train" else None,
        }
        return sign_receipt(Receipt.model_validate({**values, **changes}), self.key)

    @property
    def public_key(self) -> str:
        return public_text(self.key.public_key())


def arrays(**values: object) -> ArrayRecord:
    return ArrayRecord({name: records.array(np.asarray(value, dtype=np.float32)) for name, value in values.items()})


def honest(site: Site, order: records.Order, content: RecordDict) -> RecordDict:
    """What a well-behaved script answers: sums, a start at zero, then steps of its own size."""
    if order.message_type == "query.moments":
        return RecordDict({"sums": arrays(rows=[site.number + 1.0])})
    if order.message_type == "query.initial":
        return RecordDict({"arrays": arrays(weight=[0.0, 0.0])})
    metrics = MetricRecord({"num-examples": site.number + 1, "loss": 1.0 / (order.round + 1), "bins": [1, site.number]})
    if order.phase == "evaluate":
        return RecordDict({"metrics": metrics})
    came = as_meant(content, order.transport)["arrays"]["weight"].numpy()  # type: ignore[union-attr,index]
    trained = arrays(weight=came + site.number)
    if order.transport == HALF:
        trained, _ = narrowed_record(records.arrays_of(trained))
    return RecordDict({"arrays": trained, "metrics": metrics})


@dataclass
class SuperLink:
    """The simulated SuperLink; stands in for `federation.runs.flower.SuperLink`."""

    sites: dict[str, Site]
    pending: list[str] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    replies: dict[str, Reply] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    on_push: Callable[[], None] | None = None

    def control(self) -> SuperLink:
        return self

    def __enter__(self) -> SuperLink:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def start_run(self, fab: bytes, config: dict[str, object]) -> str:
        run_id = str(len(self.runs) + 1)
        self.runs[run_id] = "pending"
        self.pending.append(run_id)
        return run_id

    def claim_next(self) -> Claim | None:
        if not self.pending:
            return None
        run_id = self.pending.pop(0)
        self.tokens.add(f"token-{run_id}")
        return Claim(run_id, "7", "1", f"token-{run_id}")

    def drive(self, claim: Claim) -> Session:
        return Session(self, claim)

    def forget_run(self, flower_run_id: str) -> str:
        return self.runs[flower_run_id]

    def stop_run(self, flower_run_id: str) -> None:
        self.runs[flower_run_id] = "finished:stopped"


@dataclass
class Session:
    link: SuperLink
    claim: Claim

    def __enter__(self) -> Session:
        TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = int(self.claim.flower_run_id), 7, 1
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def keep_alive(self) -> None:
        if self.claim.token not in self.link.tokens:
            raise AttemptLost("E_ATTEMPT_LOST")

    def push(self, outgoing: Sequence[Outgoing]) -> list[tuple[str, int]]:
        sent = []
        for position, out in enumerate(outgoing):
            site = self.link.sites.get(out.node_id)
            if site is None:
                sent.append(("", 0))
                continue
            message_id = f"m{self.claim.flower_run_id}-{out.node_id}-{len(site.asked)}-{position}"
            replies = [site.answer(order, content, message_id) for order, content in split_orders(out.content)]
            answers = [reply for reply in replies if reply is not None]
            if len(answers) == len(replies):
                self.link.replies[message_id] = together(answers)
            sent.append((message_id, 50))
        if self.link.on_push is not None:
            self.link.on_push()
        return sent

    def pull(self, message_ids: Iterable[str]) -> Iterator[Reply]:
        for message_id in list(message_ids):
            if message_id in self.link.replies:
                yield self.link.replies.pop(message_id)

    def finish(self, *, completed: bool, details: str) -> None:
        self.link.runs[self.claim.flower_run_id] = "finished:completed"

"""A node's desk with a real ledger and real script processes, without a SuperLink."""

import os
import select
import time
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from fedstudy_core import flower
from fedstudy_core.canonical import digest
from fedstudy_core.freight import Freight
from fedstudy_core.keys import public_text
from fedstudy_core.receipts import Receipt, verify_receipt
from fedstudy_node.approvals import Approvals
from fedstudy_node.datasets import Datasets
from fedstudy_node.desk import Desk
from fedstudy_node.flower import Incoming, Outgoing, RunInfo
from fedstudy_node.gate import Gate
from fedstudy_node.ledger import Ledger
from fedstudy_node.runs import Runs
from tests.factories.agent import make_node, script
from tests.factories.sandbox import sandbox

FAB = script()


class Source:
    """A fleet connection that knows one run."""

    node_id = 7

    def __init__(self, fab: bytes, config: dict[str, Any]) -> None:
        self.fab = fab
        self.config = config
        self.asked = 0

    def get_run(self, run_id: int) -> RunInfo:
        self.asked += 1
        return RunInfo(run_id, 1, "", self.config, "flwr-serverapp")

    def get_fab(self, run: RunInfo) -> bytes:
        return self.fab


class Office:
    """A node's desk and what belongs to it."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.node = make_node(folder)
        self.sandbox = sandbox()
        self.ledger = ledger
        self.open()

    def open(self, fab: bytes = FAB, **config: Any) -> None:
        self.source = Source(fab, config)
        self.runs = Runs(self.node.home, self.source, self.sandbox)
        datasets, approvals = Datasets(self.node.home), Approvals(self.node.home)
        gate = Gate(self.node.home, self.ledger, datasets, approvals, sandbox=self.sandbox.report)
        self.desk = Desk(self.node.home, self.ledger, gate, self.runs)

    def incoming(self, order: flower.Order, content: RecordDict | None = None) -> Incoming:
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 1, 1
        arrays = ArrayRecord({"0": flower.array(np.zeros(14, dtype=np.float32))})
        content = content if content is not None else RecordDict({"arrays": arrays})
        packed = flower.Packed([flower.pack(content)])
        wrapped = flower.wrap_order(content, order, packed)
        freight = None if packed.is_small else Freight(packed.sha256, memoryview(packed.pieces[0]))
        message = Message(wrapped, 7, order.message_type)
        message.metadata.__dict__["_message_id"] = digest(os.urandom(8))
        return Incoming(11, message.metadata.message_id, order.message_type, wrapped, 100, message, freight)

    def ask(self, order: flower.Order, content: RecordDict | None = None, timeout: float = 30) -> Outgoing:
        answer = self.desk.take(self.incoming(order, content))
        return answer if answer is not None else self.wait(timeout)

    def wait(self, timeout: float = 30) -> Outgoing:
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            for run in self.runs:
                if run.child is not None:
                    run.child.flush()
                    select.select([run.child.readable], [], [], 0.05)
                    if answers := list(self.desk.hear(run)):
                        return answers[0]
            if answers := list(self.desk.stop_overdue()):
                return answers[0]
        raise AssertionError("no answer came")

    def read(self, answer: Outgoing) -> tuple[Receipt, RecordDict]:
        given = answer.beside[0] if answer.beside else None
        freight = Freight(given.sha256, memoryview(bytes(given))) if given else None
        receipt, content, packed = flower.unwrap_reply(answer.message.content, freight)
        account = self.verify(receipt)
        assert account.update_sha256 == packed.sha256
        return account, content

    def error(self, answer: Outgoing) -> tuple[str, Receipt]:
        error = flower.parse_error_reason(str(answer.message.error.reason))
        account = self.verify(error.receipt)
        assert account.code == error.code
        return error.code, account

    def verify(self, receipt: bytes) -> Receipt:
        return verify_receipt(receipt, public_text(self.node.home.identity_key().public_key()))

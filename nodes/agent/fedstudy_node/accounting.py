"""What is written about an answer before it leaves: an entry of the journal and a receipt signed by this node."""

from dataclasses import dataclass

import structlog

from fedstudy_core import flower
from fedstudy_core.codes import CODES
from fedstudy_core.errands import Answer
from fedstudy_core.errors import FedStudyError, Refusal
from fedstudy_core.flower import Order
from fedstudy_core.keys import public_text
from fedstudy_core.receipts import JournalHead, Receipt, sign_receipt, verify_receipt
from fedstudy_core.transport import AS_IS, Rounding
from fedstudy_node import __version__
from fedstudy_node.gate import Permit
from fedstudy_node.home import Home, now_text
from fedstudy_node.ledger import Departure, Ledger
from fedstudy_node.replies import Reply

log = structlog.get_logger()


@dataclass(frozen=True)
class Asked:
    """What is known of an errand when its answer is written; less is known when it is refused early.

    Attributes:
        bytes_in: of the message; of its last errand where it has two.
    """

    flower_run: int
    message_type: str
    bytes_in: int
    started_at: str
    order: Order | None = None
    permit: Permit | None = None
    script_sha256: str | None = None
    model_sha256: str | None = None


class Accounting:
    """Writes answers. One for the agent; not thread-safe."""

    def __init__(self, home: Home, ledger: Ledger, sandbox_level: str) -> None:
        self._settings = home.enrolled()
        self._home = home
        self._identity = home.identity_key()
        self._ledger = ledger
        self._level = sandbox_level

    def rekey(self) -> None:
        """Sign by the key that is in use now."""
        self._identity = self._home.identity_key()

    def answer(self, asked: Asked, reply: Reply) -> Answer:
        """Write the answer with content."""
        size, examples = reply.packed.size, reply.cargo.examples
        head = self._note(asked, "done", reply=reply)
        receipt = self._receipt(
            asked,
            head,
            outcome="done",
            update=reply.packed.sha256,
            examples=examples,
            bytes_out=size,
            rounding=reply.rounding,
        )
        return Answer(reply.packed, receipt)

    def decline(self, asked: Asked, outcome: str, error: FedStudyError) -> Answer:
        """Write the answer without content: a code and a sentence that says nothing about the site."""
        detail = error.detail if isinstance(error, Refusal) else CODES[error.code]
        head = self._note(asked, outcome, error.code)
        receipt = self._receipt(asked, head, outcome=outcome, code=error.code)
        log.warning(outcome, code=error.code, detail=error.detail, flower_run=str(asked.flower_run))
        return Answer(error=flower.error_reason(error.code, detail, receipt))

    def take_back(self, envelope: bytes, message_type: str, error: Refusal) -> Answer:
        """Write of an answer with content, by its receipt, that it failed instead: it was not taken."""
        told = verify_receipt(envelope, public_text(self._identity.public_key()))
        departure = Departure(
            study=told.study,
            run=told.run,
            flower_run=told.flower_run,
            round=told.round,
            message_type=message_type,
            approval=told.approval or "",
            outcome="failed",
            code=error.code,
            bytes_in=told.bytes_in,
            bytes_out=0,
            update_sha256="",
        )
        changes = {"outcome": "failed", "code": error.code, "update_sha256": None, "examples": None, "rounding": None}
        numbers = {"sequence": self._ledger.next_number("receipt"), "journal": self._ledger.note_departure(departure)}
        receipt = told.model_copy(update={**changes, **numbers, "bytes_out": 0, "ended_at": now_text()})
        return Answer(error=flower.error_reason(error.code, error.detail, sign_receipt(receipt, self._identity)))

    def _receipt(
        self,
        asked: Asked,
        head: JournalHead,
        *,
        outcome: str,
        code: str | None = None,
        update: str | None = None,
        examples: int | None = None,
        bytes_out: int = 0,
        rounding: Rounding | None = None,
    ) -> bytes:
        order, permit = asked.order, asked.permit
        receipt = Receipt.model_validate(
            {
                "v": 1,
                "run": order.run if order else "",
                "flower_run": str(asked.flower_run),
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
                "transport": order.transport if order else AS_IS,
                "rounding": rounding.told() if rounding else None,
                "bytes_in": asked.bytes_in,
                "bytes_out": bytes_out,
                "started_at": asked.started_at,
                "ended_at": now_text(),
                "sandbox": self._level,
                "agent_version": __version__,
                "sequence": self._ledger.next_number("receipt"),
                "journal": head.model_dump(),
            }
        )
        return sign_receipt(receipt, self._identity)

    def _note(self, asked: Asked, outcome: str, code: str = "", reply: Reply | None = None) -> JournalHead:
        order, permit = asked.order, asked.permit
        return self._ledger.note_departure(
            Departure(
                study=order.study if order else "",
                run=order.run if order else "",
                flower_run=str(asked.flower_run),
                round=order.round if order else 0,
                message_type=asked.message_type,
                approval=permit.approval if permit else "",
                outcome=outcome,
                code=code,
                bytes_in=asked.bytes_in,
                bytes_out=reply.packed.size if reply else 0,
                update_sha256=reply.packed.sha256 if reply else "",
                numbers=reply.cargo.numbers if reply else 0,
                contents=reply.cargo.manifest() if reply else "",
            )
        )


def _dataset_of(permit: Permit | None) -> dict[str, str] | None:
    return {"id": permit.dataset.id, "fingerprint": permit.dataset.fingerprint} if permit else None

"""What lets a node fetch and hand in the large contents of one message: signed words that travel in its order."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from django.conf import settings
from django.core import signing

from federation.runs.models import Participation
from fedstudy_core.errors import Forbidden

LASTS_S = 12 * 3600  # as long as a message
_SALT = "fedstudy.freight"


@dataclass(frozen=True)
class Ticket:
    """Names the node and the message.

    Attributes:
        answer: names the answer that may be handed in.
        sha256: what may be fetched; "" for nothing.
        most: bytes that the answer may have.
    """

    node: str
    run: str
    answer: str
    sha256: str
    most: int


def issue(item: Participation, sha256: str) -> str:
    """A ticket for the site that is asked, and for the content that its message names."""
    node, run = str(item.participant.node_id), str(item.participant.run_id)
    return as_text(Ticket(node, run, str(item.pk), sha256, settings.FEDSTUDY_MAX_FREIGHT))


def as_text(ticket: Ticket) -> str:
    """The ticket, signed."""
    return signing.dumps(asdict(ticket), salt=_SALT)


def read(text: str) -> Ticket:
    """Raises Forbidden E_TICKET for one that the portal did not issue, or issued too long ago."""
    try:
        return Ticket(**signing.loads(text, salt=_SALT, max_age=LASTS_S))
    except signing.BadSignature as error:
        raise Forbidden("E_TICKET") from error

"""What the page's views share: the node's home, sessions, documents that wait, and the templates."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fedstudy_core.approvers import ApproverKey
from fedstudy_core.counts import counted
from fedstudy_node.approvals import Approvals
from fedstudy_node.control import Control
from fedstudy_node.datasets import Datasets
from fedstudy_node.declared import allowed
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.offers import Offers
from fedstudy_node.page import wording
from fedstudy_node.page.address import PageAddress
from fedstudy_node.page.ceremonies import of_page
from fedstudy_node.page.documents import Documents
from fedstudy_node.page.sessions import Sessions
from fedstudy_node.signatures import signatures_of
from fedstudy_node.trust import Trust

HERE = Path(__file__).parent


@dataclass
class Front:
    """One node's page.

    Attributes:
        hurry: asks the agent to fetch offers and to hand in what was signed, soon; it does not wait for it.
        lock: held while a request changes something, so that no two do at a time.
    """

    home: Home
    address: PageAddress
    control: Control
    hurry: Callable[[], None]
    sessions: Sessions = field(default_factory=Sessions)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.datasets = Datasets(self.home)
        self.trust = Trust(self.home)
        self.approvals = Approvals(self.home)
        self.offers = Offers(self.home)
        self.documents = Documents(self.home.path / "documents")

    def passkeys(self) -> list[ApproverKey]:
        """Return the passkeys that work on this page."""
        return of_page(self.trust.all(), self.address)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Open the ledger for one request: its connection belongs to one thread."""
        with closing(Ledger(self.home.ledger_path)) as ledger:
            yield ledger

    def note(self, kind: str, subject: str, **detail: str) -> None:
        """Write a row into the node's journal."""
        with self.ledger() as ledger:
            ledger.journal.append(kind, subject, detail)


@cache
def templates() -> Environment:
    """Return the templates. Everything put into them is escaped."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "allowed": allowed,
        "bytes": wording.size,
        "many": counted,
        "moment": wording.moment,
        "short": wording.short,
        "signatures": signatures_of,
        "words": wording.words,
    }
    return made

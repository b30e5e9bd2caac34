"""What a portal's worker does with Flower, without a portal: start a run, send orders, collect answers."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, RecordDict

from devstack import superlink
from devstack.processes import Supervisor
from federation.runs.flower import Control, Outgoing, Reply, Session
from federation.runs.flower import SuperLink as Adapter
from fedstudy_core import flower


def model(size: int = 14, value: float = 0.0) -> RecordDict:
    """A training message's content: one array of 32-bit floats."""
    arrays = ArrayRecord({"0": flower.array(np.full(size, value, dtype=np.float32))})
    return RecordDict({"arrays": arrays, "config": ConfigRecord({"server-round": 1})})


@dataclass
class Driver:
    """A SuperLink and the runs that a test drives on it."""

    link: superlink.SuperLink
    adapter: Adapter
    run_id: str = ""
    session: Session | None = None

    def register(self, flower_key: str) -> str:
        with self._control() as control:
            return control.register_node(flower_key)

    def stop_run(self) -> None:
        with self._control() as control:
            control.stop_run(self.run_id)

    def _control(self) -> Control:
        return self.adapter.control()

    @contextmanager
    def run(self, fab: bytes, config: Mapping[str, int | float | str | bool]) -> Iterator[None]:
        """Start and claim a run; end it afterwards."""
        with self._control() as control:
            self.run_id = control.start_run(fab, dict(config))
        claim = self.adapter.claim_next()
        assert claim is not None
        assert claim.flower_run_id == self.run_id
        with self.adapter.drive(claim) as session:
            self.session = session
            self.session.keep_alive()
            yield
            self.session = None

    def send(self, node_id: str, order: flower.Order, content: RecordDict) -> str:
        assert self.session is not None
        wrapped = flower.wrap_order(content, order)
        [(message_id, _)] = self.session.push([Outgoing(node_id, order.message_type, wrapped, str(order.round))])
        return message_id

    def collect(self, message_ids: set[str], timeout: float = 30) -> list[Reply]:
        """Wait for the answers to these messages."""
        assert self.session is not None
        replies: list[Reply] = []
        until = time.monotonic() + timeout
        while message_ids and time.monotonic() < until:
            for reply in self.session.pull(message_ids):
                replies.append(reply)
                message_ids = message_ids - {reply.message_id}
            if message_ids:
                time.sleep(0.02)
        return replies

    def ask(self, node_id: str, order: flower.Order, content: RecordDict, timeout: float = 30) -> Reply:
        """Send a message and wait for its answer."""
        replies = self.collect({self.send(node_id, order, content)}, timeout)
        assert replies, "no answer came"
        return replies[0]


@contextmanager
def start(folder: Path, environment: Mapping[str, str]) -> Iterator[Driver]:
    """Start a SuperLink with TLS and node authentication on a free port."""
    with Supervisor() as supervisor:
        link = superlink.launch(supervisor, folder / "superlink", folder / "superlink.log", environment)
        link.child.wait_ready()
        yield Driver(link, Adapter(link.address, link.certificates.authority, link.secret_file))

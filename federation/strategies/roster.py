"""The grid that a Flower strategy gets: the sites of one phase by their numbers, and no way to send anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flwr.app import Message
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from fedstudy_core.errors import FedStudyError


class Roster(Grid):
    """What a Flower strategy sees of the world: the numbers of the sites in question, and nothing else."""

    def __init__(self, sites: Sequence[int]) -> None:
        self._sites = list(sites)

    def get_node_ids(self) -> list[int]:
        return list(self._sites)

    def set_run(self, run: Run) -> None:
        raise self._closed()

    @property
    def run(self) -> Run:
        raise self._closed()

    def create_message(self, *_: object, **__: object) -> Message:
        raise self._closed()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise self._closed()

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise self._closed()

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        raise self._closed()

    def get_nodes(self) -> Iterable[NodeInfo]:
        raise self._closed()

    @staticmethod
    def _closed() -> FedStudyError:
        return FedStudyError("E_STRATEGY", "A strategy chooses and combines; the engine sends and receives.")

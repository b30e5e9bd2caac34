"""Flower's Grid over four sites in this process: their ClientApps are called where the message would be sent."""

from collections.abc import Iterable, Mapping
from typing import Any

from flwr.app import Context, Message
from flwr.serverapp import Grid

from federation.library.heart_disease.heart_disease import client_app


class InProcessGrid(Grid):
    """Answers at once; `silent` nodes never do."""

    def __init__(self, contexts: Mapping[int, Context], silent: frozenset[int] = frozenset()) -> None:
        self._contexts = contexts
        self._silent = silent
        self.sent: list[Message] = []

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        replies = []
        for message in messages:
            self.sent.append(message)
            node = message.metadata.dst_node_id
            if node not in self._silent:
                replies.append(client_app.app(message, self._contexts[node]))
        return replies

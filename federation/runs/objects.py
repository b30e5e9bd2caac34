"""The objects that a large message is made of, on their way between the worker and the SuperLink.

Flower carries a large message as a tree of objects, each named by its SHA-256: arrays in chunks of 5 MiB, and what
holds them together. Where the worker can read the folder in which the SuperLink keeps large objects, it takes them
from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from flwr.app import Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.serde import message_to_proto
from flwr.proto.message_pb2 import Message as MessageProto
from flwr.proto.message_pb2 import ObjectTree
from flwr.proto.node_pb2 import Node
from flwr.supercore.inflatable.inflatable_object import (
    InflatableObject,
    get_all_nested_objects,
    get_object_id,
    get_object_tree,
)
from flwr.supercore.inflatable.inflatable_protobuf_utils import (
    make_pull_object_fn_protobuf,
    make_push_object_fn_protobuf,
)
from flwr.supercore.inflatable.inflatable_utils import ObjectPullError, ObjectUnavailableError
from flwr.supercore.runtime import RuntimeHttpClient

from fedstudy_core.flower import is_small
from fedstudy_core.inflating import inflate

PATIENCE_S = 10.0
LOOK_S = 0.02
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.5


@dataclass(frozen=True)
class Parcel:
    """A message as it travels: whole, or announced here and followed by its objects."""

    message: MessageProto
    tree: ObjectTree
    objects: dict[str, InflatableObject]
    size: int


def parcel_of(message: Message) -> Parcel:
    """A small message goes whole: each object of a tree would cost a request at every hop."""
    message_id = message.object_id
    message.metadata.__dict__["_message_id"] = message_id
    if is_small(message.content):
        proto = message_to_proto(message)
        return Parcel(proto, ObjectTree(object_id=message_id), {}, proto.ByteSize())
    objects = get_all_nested_objects(message)
    announced = message_to_proto(remove_content_from_message(message))
    return Parcel(announced, get_object_tree(message), objects, _size(message.content))


def _size(content: RecordDict) -> int:
    """About the bytes of a large content: its arrays'."""
    return sum(len(item.data) for record in content.array_records.values() for item in record.values())


class Objects:
    """Sends and fetches the objects of one run's messages.

    Args:
        folder: where the SuperLink keeps large objects, if this process can read it.
        spool: where the arrays of what is fetched are put into files; None for memory.
        keep_alive: called between objects; large messages take their time.
    """

    def __init__(
        self,
        client: RuntimeHttpClient,
        node: Node,
        run_id: int,
        *,
        folder: Path | None,
        spool: Path | None,
        keep_alive: Callable[[], None],
    ) -> None:
        self._client, self._node, self._run_id = client, node, run_id
        self._folder, self._spool = folder, spool
        self._keep_alive = keep_alive
        self._ask = make_pull_object_fn_protobuf(client.PullObject, node, run_id)

    def push(self, parcels: Iterable[Parcel], wanted: set[str], session_id: str) -> None:
        """Send the objects that the SuperLink wants. Raises ObjectPushError, or an error of the client."""
        push = make_push_object_fn_protobuf(self._client.PushObject, self._node, self._run_id, session_id)
        left = set(wanted)
        for parcel in parcels:
            for object_id in left & set(parcel.objects):
                self._keep_alive()
                push(object_id, parcel.objects[object_id].deflate())
                left.discard(object_id)

    def pull(self, tree: ObjectTree) -> tuple[InflatableObject, int]:
        """What the tree's objects make up, and their bytes, waiting for those that are still being sent.

        Raises:
            ObjectPullError: one is gone, or did not come for `PATIENCE_S` seconds.
        """
        return inflate(tree, self._wait_for, self._spool)

    def _wait_for(self, object_id: str) -> bytes:
        """The object as soon as it is there: its file is looked for often, the SuperLink asked ever more seldom."""
        give_up = time.monotonic() + PATIENCE_S
        pause, ask_at = FIRST_PAUSE_S, 0.0
        while True:
            self._keep_alive()
            content = self._from_folder(object_id)
            if content is None and time.monotonic() >= ask_at:
                content = self._from_superlink(object_id)
                pause = min(2 * pause, LONGEST_PAUSE_S)
                ask_at = time.monotonic() + pause
            if content is not None:
                return content
            if time.monotonic() > give_up:
                raise ObjectPullError(object_id, "the upload did not finish")
            time.sleep(LOOK_S)

    def _from_superlink(self, object_id: str) -> bytes | None:
        try:
            return self._ask(object_id)
        except ObjectUnavailableError:
            return None

    def _from_folder(self, object_id: str) -> bytes | None:
        """The object from the SuperLink's own file; None when there is none, or it is not whole."""
        if self._folder is None:
            return None
        try:
            content = (self._folder / object_id).read_bytes()
        except FileNotFoundError:
            return None
        return content if get_object_id(content) == object_id else None

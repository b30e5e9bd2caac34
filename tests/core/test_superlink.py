"""How FedStudy runs Flower's SuperLink: objects in files, bodies in one piece."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Array
from flwr.proto.message_pb2 import ObjectTree
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.object_store.in_memory_object_store import InMemoryObjectStore
from flwr.supercore.object_store.object_store import NoObjectInStoreError

from fedstudy_core import flower
from fedstudy_core.superlink.bodies import WholeBodies
from fedstudy_core.superlink.objects import SMALL, FileObjectStore, FileObjectStoreFactory

RUN = 7


def objects(*sizes: int) -> tuple[ObjectTree, dict[str, bytes]]:
    """A tree of arrays of random numbers, and its objects."""
    made = flower.record_of({str(place): _array(size) for place, size in enumerate(sizes)})
    return get_object_tree(made), {name: item.deflate() for name, item in get_all_nested_objects(made).items()}


def _array(size: int) -> Array:
    return Array("float32", (size // 4,), "numpy.ndarray", os.urandom(size))


@pytest.fixture
def store(tmp_path: Path) -> FileObjectStore:
    return FileObjectStore(tmp_path / "objects")


def files(store: FileObjectStore) -> set[str]:
    return {path.name for path in store._folder.iterdir()}


def test_what_is_large_lies_in_files_and_nothing_of_it_in_memory(store: FileObjectStore) -> None:
    tree, contents = objects(SMALL, 100)
    assert set(store.preregister(RUN, tree)) == set(contents)
    for name, content in contents.items():
        assert store.get(name) == b""  # announced
        store.put(name, content)
    large = {name for name, content in contents.items() if len(content) >= SMALL}
    assert large
    assert files(store) == large
    assert {name: store.get(name) for name in contents} == contents
    assert all(store.store[name].content == b"" for name in large)


def test_it_answers_as_flowers_own_store_does(store: FileObjectStore) -> None:
    tree, contents = objects(SMALL, 3 * SMALL, 100)
    other = InMemoryObjectStore()
    for each in (store, other):
        assert set(each.preregister(RUN, tree)) == set(contents)
    for name in list(contents)[:-1]:
        store.put(name, contents[name])
        other.put(name, contents[name])
    assert store.preregister(RUN + 1, tree) == other.preregister(RUN + 1, tree)
    assert [store.get(name) for name in contents] == [other.get(name) for name in contents]
    assert store.get("0" * 64) is other.get("0" * 64) is None


@pytest.mark.parametrize("way", ["delete", "delete_objects_in_run", "clear"])
def test_files_go_with_their_objects(store: FileObjectStore, way: str) -> None:
    tree, contents = objects(SMALL)
    store.preregister(RUN, tree)
    for name, content in contents.items():
        store.put(name, content)
    assert files(store)
    arguments: dict[str, tuple[Any, ...]] = {"delete": (tree.object_id,), "delete_objects_in_run": (RUN,), "clear": ()}
    getattr(store, way)(*arguments[way])
    assert files(store) == set()
    assert [store.get(name) for name in contents] == [None] * len(contents)


def test_what_another_message_refers_to_stays(store: FileObjectStore) -> None:
    both, contents = objects(SMALL, 2 * SMALL)
    one = both.children[0]
    store.preregister(RUN, both)
    for name, content in contents.items():
        store.put(name, content)
    store.delete(one.object_id)
    assert len(files(store)) == 2


def test_content_must_be_what_its_name_says(store: FileObjectStore) -> None:
    tree, contents = objects(SMALL)
    store.preregister(RUN, tree)
    name = next(name for name, content in contents.items() if len(content) >= SMALL)
    with pytest.raises(ValueError, match="does not match"):
        store.put(name, contents[name][:-1] + bytes([contents[name][-1] ^ 1]))
    _, others = objects(SMALL)
    unknown = next(name for name, content in others.items() if len(content) >= SMALL)
    with pytest.raises(NoObjectInStoreError):
        store.put(unknown, others[unknown])
    assert files(store) == set()


def test_what_a_superlink_left_is_deleted_when_the_next_one_starts(tmp_path: Path) -> None:
    (tmp_path / ("a" * 64)).write_bytes(b"left")
    factory = FileObjectStoreFactory(":flwr-in-memory:", tmp_path)
    assert factory.store() is factory.store()
    assert list(tmp_path.iterdir()) == []


def test_a_body_comes_in_one_piece_and_whole() -> None:
    pieces = [os.urandom(1000) for _ in range(80)]
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})
    assert seen_of(waiting) == {"type": "http.request", "body": b"".join(pieces), "more_body": False}


def test_a_body_that_breaks_off_is_none() -> None:
    waiting = [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]
    assert seen_of(waiting) == {"type": "http.disconnect"}


def seen_of(waiting: list[dict[str, Any]]) -> dict[str, Any]:
    """The first message of a request that the application behind `WholeBodies` sees."""
    seen: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await receive())

    async def receive() -> Any:
        return waiting.pop(0)

    asyncio.run(WholeBodies(application)({"type": "http", "path": "/v1/fleet/push-object"}, receive, _send_nothing))
    return dict(seen[0])


async def _send_nothing(message: Any) -> None:
    raise AssertionError(message)

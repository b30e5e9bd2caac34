"""Objects of large messages, as the worker fetches them."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flwr.app import Array
from flwr.proto.message_pb2 import ObjectTree, PullObjectResponse
from flwr.proto.node_pb2 import Node
from flwr.supercore.inflatable.inflatable_object import InflatableObject, get_all_nested_objects, get_object_tree
from flwr.supercore.inflatable.inflatable_utils import ObjectPullError

from federation.runs import objects
from federation.runs.objects import Objects


class SuperLink:
    """Answers for objects: those that came, of those that were announced."""

    def __init__(self, announced: dict[str, bytes], *, missing: int = 0) -> None:
        self.announced = announced
        self.missing = missing
        self.asked: list[str] = []

    def PullObject(self, request: Any) -> PullObjectResponse:
        self.asked.append(request.object_id)
        content = self.announced.get(request.object_id)
        self.missing -= 1
        available = content is not None and self.missing < 0
        return PullObjectResponse(
            object_found=content is not None,
            object_available=available,
            object_content=content if available and content else b"",
        )


@pytest.fixture
def sent() -> tuple[ObjectTree, dict[str, bytes]]:
    array = Array("float32", (25,), "numpy.ndarray", os.urandom(100))
    return get_object_tree(array), {name: item.deflate() for name, item in get_all_nested_objects(array).items()}


def assert_made_of(contents: dict[str, bytes], pulled: tuple[InflatableObject, int]) -> None:
    item, size = pulled
    assert {name: part.deflate() for name, part in get_all_nested_objects(item).items()} == contents
    assert size == sum(map(len, contents.values()))


def fetcher(link: SuperLink, folder: Path | None, beats: list[int] | None = None) -> Objects:
    told = [] if beats is None else beats
    client: Any = SimpleNamespace(PullObject=link.PullObject, PushObject=None)
    return Objects(client, Node(node_id=1), 7, folder=folder, spool=None, keep_alive=lambda: told.append(1))


def test_what_lies_in_the_superlinks_folder_is_not_asked_for(
    sent: tuple[ObjectTree, dict[str, bytes]], tmp_path: Path
) -> None:
    tree, contents = sent
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    link = SuperLink({})
    assert_made_of(contents, fetcher(link, tmp_path).pull(tree))
    assert link.asked == []


@pytest.mark.parametrize("wrong", [b"", b"something else"])
def test_a_file_that_is_not_the_object_is_passed_over(
    sent: tuple[ObjectTree, dict[str, bytes]], tmp_path: Path, wrong: bytes
) -> None:
    tree, contents = sent
    for name in contents:
        (tmp_path / name).write_bytes(wrong)
    link = SuperLink(contents)
    assert_made_of(contents, fetcher(link, tmp_path).pull(tree))
    assert set(link.asked) == set(contents)


def test_one_that_is_still_sent_is_awaited_and_the_attempt_kept_alive(
    sent: tuple[ObjectTree, dict[str, bytes]],
) -> None:
    tree, contents = sent
    beats: list[int] = []
    assert_made_of(contents, fetcher(SuperLink(contents, missing=2), None, beats).pull(tree))
    assert len(beats) > len(contents)


def test_one_that_never_comes_is_given_up(
    sent: tuple[ObjectTree, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "PATIENCE_S", 0.0)
    with pytest.raises(ObjectPullError):
        fetcher(SuperLink(sent[1], missing=1000), None).pull(sent[0])


def test_one_that_is_gone_is_not_awaited(sent: tuple[ObjectTree, dict[str, bytes]]) -> None:
    link = SuperLink({})
    with pytest.raises(ObjectPullError):
        fetcher(link, None).pull(sent[0])
    assert len(link.asked) == 1

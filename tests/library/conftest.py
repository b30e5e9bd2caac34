"""The four centres' public rows, prepared once, and a way to speak to the app without any process."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import torch
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from federation.library.catalogue import ready_script
from federation.library.heart_disease import reference, source
from federation.library.heart_disease.heart_disease.preparation import Split

DEFAULTS = ready_script("heart_disease").project["tool"]["flwr"]["app"]["config"]

MakeContext = Callable[..., Context]
MakeMessage = Callable[..., Message]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The work is tiny; threads would only fight the other tests."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return source.write_centres(tmp_path_factory.mktemp("centres"))


@pytest.fixture(scope="session")
def splits(paths: Mapping[str, Path]) -> dict[str, Split]:
    return reference.read_splits(paths)


@pytest.fixture(autouse=True)
def task_identity() -> Iterator[None]:
    """Flower stamps every message with the run that the process works for."""
    before = (TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id)
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 3, 7, 11
    yield
    TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id = before


@pytest.fixture
def make_context(paths: Mapping[str, Path]) -> MakeContext:
    def make(centre: str = "Cleveland", **config: object) -> Context:
        run_config = DEFAULTS | {name.replace("_", "-"): value for name, value in config.items()}
        return Context(
            run_id=7,
            node_id=11,
            node_config={"dataset-path": str(paths[centre]), "dataset-format": "csv"},
            state=RecordDict(),
            run_config=run_config,
        )

    return make


@pytest.fixture
def make_message() -> MakeMessage:
    def make(kind: str, config: Mapping[str, int | float] | None = None, **records: object) -> Message:
        content = RecordDict({"config": ConfigRecord(dict(config or {})), **records})
        return Message(content, dst_node_id=11, message_type=kind)

    return make

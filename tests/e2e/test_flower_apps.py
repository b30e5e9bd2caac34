"""Flower apps that know nothing of FedStudy, each with its own ServerApp: submit, approve, run; as in one process."""

import importlib
import json
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flwr.app import Context, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from devstack.demo import people, runs
from devstack.demo.cast import Cast, Hospital
from devstack.demo.story import at_each
from federation.library.heart_disease.source import write_centres
from fedstudy_core import bundle as bundles
from fedstudy_core.artifacts import decode_arrays
from tests.stage import Stage

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Flower's builder, and of what the apps import
]

APPS = Path(__file__).parents[1] / "apps"
SITES = 3


def write_databases(folder: Path) -> dict[str, Path]:
    """The centres' rows, each as the one table of a SQLite file."""
    paths = {}
    for centre, path in write_centres(folder).items():
        paths[centre] = path.with_suffix(".db")
        with closing(sqlite3.connect(paths[centre])) as connection:
            pd.read_csv(path).to_sql("patients", connection, index=False)
    return paths


@dataclass(frozen=True)
class Bound:
    """A study of three sites that offer a database each; the datasets by centre."""

    cast: Cast
    study: str
    datasets: dict[str, str]


@pytest.fixture(scope="module")
def bound(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Bound:
    """A study of its own over a database at each hospital, of which its node tells scripts where it is."""
    paths = write_databases(tmp_path_factory.mktemp("hospitals"))
    sessions, cast = stage.prepared.sessions, replace(stage.cast, hospitals=stage.cast.hospitals[:SITES])
    study = people.open_study(sessions, cast)
    people.enrol_sites(sessions, cast, study, stage.prepared.sites)

    def bind(hospital: Hospital) -> str:
        node = stage.stack.node(hospital.node)
        words = ("--study", study, "--name", "database", str(paths[hospital.centre]))
        dataset = str(node.command("dataset", "add", *words)["id"])
        node.command("dataset", "config", dataset, "db-path={dataset}")
        return dataset

    return Bound(cast, study, at_each(cast, bind))


class OneProcess(Grid):
    """All nodes of a ClientApp in this process."""

    def __init__(self, app: Any, contexts: list[Context]) -> None:
        self._app, self._contexts, self._replies = app, dict(enumerate(contexts, 1_001)), dict[str, Message]()

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
        ids = []
        for message in sorted(messages, key=lambda item: item.metadata.dst_node_id):
            ids.append(str(len(self._replies)))
            self._replies[ids[-1]] = self._app(message, self._contexts[message.metadata.dst_node_id])
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [self._replies[message_id] for message_id in message_ids]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        return self.pull_messages(self.push_messages(messages))


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Path]]:
    """Run an app in this process; answer the folder with the files that it wrote."""
    before = (TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id)
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 3, 7, 1
    paths = write_databases(tmp_path / "hospitals")
    left = tmp_path / "left"
    left.mkdir()
    monkeypatch.chdir(left)

    def run(name: str, package: str) -> Path:
        monkeypatch.syspath_prepend(str(APPS / name))
        client = importlib.import_module(f"{package}.client_app").app
        server = importlib.import_module(f"{package}.server_app").app
        config = dict(bundles.inspect(bundles.build(APPS / name)).default_config)
        contexts = [Context(7, 1, {"db-path": str(path)}, RecordDict(), config) for path in [*paths.values()][:SITES]]
        server(OneProcess(client, contexts), Context(7, 1, {}, RecordDict(), config))
        return left

    yield run
    TaskIdentity._task_id, TaskIdentity._run_id, TaskIdentity._node_id = before
    for name in [name for name in sys.modules if name.partition(".")[0].endswith(("_app", "_analytics"))]:
        del sys.modules[name]


def play(stage: Stage, bound: Bound, name: str) -> dict[str, Any]:
    """Submit the app, have every hospital sign it, run it; the run as it ended."""
    session, study = stage.investigator, bound.study
    bundle = bundles.build(APPS / name)
    script = session.post(f"studies/{study}/scripts", {"name": name})
    version = session.upload(f"scripts/{script['id']}/versions", "bundle", f"{name}.fab", bundle)
    assert version["server"] == "own"
    signed = str(version["id"])
    at_each(bound.cast, lambda site: people.approve_script(stage.stack, site, signed, bound.datasets[site.centre]))
    if session.get(f"studies/{study}")["state"] != "active":
        session.post(f"studies/{study}/transition", {"to": "active"})
    plan = {"version": signed, "strategy": "own-server", "rounds": 3, "label": name}
    run = stage.wait_for_end(runs.start(session, study, plan))
    assert (run["state"], run["reason"]) == ("completed", ""), run
    return run


def file_of(stage: Stage, run: dict[str, Any], name: str) -> bytes:
    files = {item["name"]: item for item in stage.investigator.each(f"runs/{run['id']}/files")}
    return bytes(stage.investigator.download(f"runs/{run['id']}/files/{files[name]['sha256']}"))


def model_of(stage: Stage, run: dict[str, Any]) -> dict[str, np.ndarray]:
    return decode_arrays(stage.investigator.download(f"runs/{run['id']}/model"))


def types(stage: Stage, run: dict[str, Any]) -> list[str]:
    return [item["phase"] for item in stage.rounds(run["id"])]


def test_federated_analytics_over_databases(stage: Stage, bound: Bound, alone: Callable[[str, str], Path]) -> None:
    expected = json.loads((alone("fed-analytics", "fed_analytics") / "histograms.json").read_text())
    run = play(stage, bound, "fed-analytics")
    assert types(stage, run) == ["query.ranges", "query.histograms", "result"]
    assert json.loads(file_of(stage, run, "histograms.json")) == expected
    assert sum(expected["age"]["counts"]) > 700


def test_a_loop_of_its_own_in_numpy(stage: Stage, bound: Bound, alone: Callable[[str, str], Path]) -> None:
    expected = np.load(alone("numpy-app", "numpy_app") / "final_model.npz")["weights"]
    run = play(stage, bound, "numpy-app")
    assert types(stage, run) == ["query", "train", "train", "train", "evaluate", "result"]
    np.testing.assert_allclose(model_of(stage, run)["weights"], expected, rtol=1e-9)
    assert b"accuracy: 0." in file_of(stage, run, "server-app.log")


def test_a_strategy_of_its_own_in_torch(
    stage: Stage, bound: Bound, alone: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    expected: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(torch, "save", lambda state, path: expected.update(state))
    alone("torch-app", "torch_app")
    run = play(stage, bound, "torch-app")
    assert types(stage, run) == [*["train", "evaluate"] * 3, "result"]
    found = model_of(stage, run)
    assert set(found) == set(expected)
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name].numpy(), rtol=1e-4, atol=1e-6, err_msg=name)
    norms = json.loads(file_of(stage, run, "metrics.json"))["centre"]
    assert sorted(norms) == ["0", "1", "2", "3"]


def test_trees_by_bagging_in_xgboost(stage: Stage, bound: Bound, alone: Callable[[str, str], Path]) -> None:
    import xgboost

    rows = xgboost.DMatrix(np.random.default_rng(7).random((500, 4), dtype=np.float32))

    def chances(model: bytes) -> np.ndarray:  # whatever the order in which the sites' trees of a round joined the model
        booster = xgboost.Booster(model_file=bytearray(model))
        assert booster.num_boosted_rounds() == 3 * SITES
        return booster.predict(rows)

    expected = chances((alone("xgboost-app", "xgboost_app") / "final_model.json").read_bytes())
    assert expected.max() - expected.min() > 0.2
    run = play(stage, bound, "xgboost-app")
    assert types(stage, run) == [*["train", "evaluate"] * 3, "result"]
    np.testing.assert_allclose(chances(file_of(stage, run, "final_model.json")), expected, atol=1e-6)
    np.testing.assert_allclose(chances(model_of(stage, run)["0"].tobytes()), expected, atol=1e-6)

"""A study whose rows go from their hospitals into one place: what trains on them, and that no trace is left.

The chapters are played once, in order; the tests look at what they left.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from pyarrow import csv, parquet
from torch.nn.functional import binary_cross_entropy_with_logits

from devstack.demo.cast import Hospital
from federation.library.heart_disease.heart_disease.preparation import (
    Moments,
    Rows,
    normalise,
    prepare,
    prepare_pooled,
)
from fedstudy_core.artifacts import ArtifactStore, decode_arrays
from tests.e2e.pools import CANARY, CENTRE, Pool, parts, set_up_pool, write_with_canary
from tests.e2e.traces import back_up, files, found_in, traces
from tests.stage import Json, Stage, set_up_stage

# A stage of its own can stand beside the others' in another process.
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("pooled rows")]

TRAINING = {"Cleveland": 199, "Hungary": 172}
SEED, STEPS, BATCH, RATE, ROUNDS = 42, 100, 4, 0.01, 2  # the script's own, but for the rounds


@pytest.fixture(scope="module")
def own_stage() -> Iterator[Stage]:
    """A stage of its own: a fifth site, second signers and altered rows would be in the way of other tests."""
    with set_up_stage(write_with_canary) as made:
        yield made


@pytest.fixture(scope="module")
def two(own_stage: Stage) -> tuple[Hospital, Hospital]:
    """The hospitals that pool."""
    first, second, *_ = own_stage.cast.hospitals
    return first, second


@pytest.fixture(scope="module")
def pool(own_stage: Stage, two: tuple[Hospital, Hospital], tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return set_up_pool(own_stage, tmp_path_factory.mktemp("pool"), two)


@dataclass(frozen=True)
class Pooled:
    """The runs while rows went into the pool, and what there was of the rows when all of them lay there."""

    f2: Json
    f3: Json
    f4: Json
    central: Json
    open_rows: Path
    backup: Path
    traces: dict[str, set[str]]


@pytest.fixture(scope="module")
def pooled(pool: Pool, two: tuple[Hospital, Hospital]) -> Pooled:
    """One hospital pools a part, then two pool all: chosen on a page and by the client; nothing is restarted."""
    first, second = two
    f2 = pool.run("All at F2", rounds=1)
    pool.share("F3", first)
    pool.choose_on_page(first, "F3")
    pool.approve_table(sites=1)
    f3 = pool.run("One at F3")
    pool.share("F4", first, second)
    pool.choose_by_client(first, "F4")
    pool.choose_on_page(second, "F4")
    pool.approve_table(sites=2)
    f4 = pool.run("Two at F4")
    testing = [pool.stage.prepared.enrolments[hospital.centre] for hospital in two]
    central = pool.run("All training in one place", sites=[pool.enrolment, *testing], rounds=ROUNDS)
    open_rows, (table,) = pool.folder / "open.parquet", pool.memory
    shutil.copy(table, open_rows)
    backup = back_up(pool.stage.stack, pool.folder / "backup")
    return Pooled(f2, f3, f4, central, open_rows, backup, traces(pool.stage.stack, CANARY, backup))


def test_a_runs_record_says_at_which_level_each_site_was(pooled: Pooled) -> None:
    whole, only_tests = ("F2", "trains"), ("F3", "tests")
    others = {"Switzerland": whole, "VA Long Beach": whole}
    assert parts(pooled.f2) == {"Cleveland": whole, "Hungary": whole, **others}
    with_pool = {**others, CENTRE.centre: whole}
    assert parts(pooled.f3) == {"Cleveland": only_tests, "Hungary": whole, **with_pool}
    assert parts(pooled.f4) == {"Cleveland": ("F4", "tests"), "Hungary": ("F4", "tests"), **with_pool}
    for run in (pooled.f2, pooled.f3, pooled.f4, pooled.central):
        assert (run["state"], run["reason"], run["version"]) == ("completed", "", pooled.f2["version"])


def test_every_degree_is_tested_on_the_same_rows(pool: Pool, pooled: Pooled) -> None:
    def tested(run: Json) -> dict[str, float]:
        last = pool.stage.rounds(run["id"])[-1]["sites"]
        return {row["site"]: row["metrics"]["num-examples"] for row in last if row["phase"] == "evaluate"}

    assert {name: tested(pooled.f2)[name] for name in TRAINING} == {
        name: tested(pooled.central)[name] for name in TRAINING
    }


def test_training_in_one_place_is_plain_training_on_the_pooled_rows(pool: Pool, pooled: Pooled) -> None:
    store = ArtifactStore(pool.stage.stack.folders.data / "models")
    made = decode_arrays(store.get(pool.stage.rounds(pooled.central["id"])[-1]["model_out"]))
    plain = train_plainly(pooled_rows(pool, pooled))
    for name, weights in plain.state_dict().items():
        np.testing.assert_allclose(made[name], weights.numpy(), rtol=0, atol=1e-6)


def pooled_rows(pool: Pool, pooled: Pooled) -> Rows:
    """The rows that the pool node had open, in their order: those on which the hospitals would train."""
    rows = prepare_pooled(parquet.read_table(pooled.open_rows).to_pydict()).train
    empty = csv.ConvertOptions(strings_can_be_null=True)
    tables = [csv.read_csv(pool.stage.rows[name], convert_options=empty) for name in TRAINING]
    files = [prepare(table.to_pydict()).train for table in tables]
    at_home = np.concatenate([np.column_stack([site.features, site.labels]) for site in files])
    came = np.column_stack([rows.features, rows.labels])
    assert sorted(came.tolist()) == sorted(at_home.tolist())
    return rows


def train_plainly(rows: Rows) -> torch.nn.Linear:
    """Gradient descent by torch alone."""
    normalised = normalise(rows, Moments.of(rows))
    features = torch.from_numpy(normalised.features.astype(np.float32))
    labels = torch.from_numpy(normalised.labels.astype(np.float32)).unsqueeze(1)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)
        model = torch.nn.Linear(features.shape[1], 1)
    descent = torch.optim.SGD(model.parameters(), lr=RATE)
    for number in range(1, ROUNDS + 1):
        generator, left = torch.Generator().manual_seed(SEED * 1_000_003 + number), STEPS
        while left:
            for batch in torch.split(torch.randperm(len(labels), generator=generator), BATCH)[:left]:
                descent.zero_grad()
                loss = binary_cross_entropy_with_logits(model(features[batch]), labels[batch])
                torch.autograd.backward(loss)
                descent.step()
                left -= 1
    return model


def test_pooled_rows_leave_no_trace_but_in_the_pool_nodes_memory(pool: Pool, pooled: Pooled) -> None:
    """In the database, on disk, in logs, in Valkey, in a backup, at the pool node: nothing."""
    rows = parquet.read_table(pooled.open_rows)
    assert rows.num_rows == sum(TRAINING.values())
    assert float(CANARY) in rows.column("oldpeak").to_pylist(), "the test would see it"
    assert found_in(pool.stage.rows["Cleveland"].read_bytes(), CANARY) == {"text"}
    assert len(list(files(pooled.backup / "data" / "pool"))) >= len(TRAINING)
    assert pooled.traces == {}


def test_rows_that_are_taken_back_are_gone_within_a_minute(
    pool: Pool, pooled: Pooled, two: tuple[Hospital, Hospital]
) -> None:
    """The key is destroyed, and the pool node makes a table of the others' rows."""
    (before,) = pool.tables()
    pool.stage.stack.node(two[0].node).command("pool", "revoke", pool.study, "--delete")
    pool.stage.wait_until(lambda: [table["id"] for table in pool.tables()] not in ([], [before["id"]]))
    assert len(pool.journal("pool_destroyed")) == 1
    assert pool.node.command("log", "--verify")["verified"]

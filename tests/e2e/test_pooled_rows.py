"""A study whose rows go from their hospitals into one place and back: what trains on them, and that no trace is left.

The chapters are played once, in order; the tests look at what they left.
"""

from __future__ import annotations

import html
import io
import re
import shutil
import time
from collections.abc import Callable, Iterator
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
from fedstudy_core.errors import Refusal
from fedstudy_core.keys import key_id
from fedstudy_core.pooling.statements import verify_deletion
from fedstudy_node.pooling.deidentify import read_table
from fedstudy_node.pooling.sealing import open_sealed
from tests.e2e.degrees_of_pool import (
    ASKED,
    Shown,
    begin_comparison,
    centralise,
    check_comparison,
    extend_comparison,
    read_comparison,
)
from tests.e2e.pools import CANARY, CENTRE, Pool, parts, set_up_pool, timeline, version_of, write_with_canary
from tests.e2e.traces import (
    SECRET,
    back_up,
    back_up_node,
    files,
    found_in,
    read,
    restore,
    restore_node,
    traces,
)
from tests.stage import Json, Stage, set_up_stage

# A stage of its own can stand beside the others' in another process.
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("pooled rows")]

TRAINING = {"Cleveland": 199, "Hungary": 172}
SEED, STEPS, BATCH, RATE, ROUNDS = 42, 100, 4, 0.01, 2  # the script's own, but for the rounds
MOST_S = 60.0


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
    compared: Shown
    open_rows: Path
    backup: Path
    centre_backup: Path
    keys: set[bytes]
    traces: dict[str, set[str]]


@pytest.fixture(scope="module")
def pooled(pool: Pool, two: tuple[Hospital, Hospital]) -> Pooled:
    """One hospital pools a part, then two pool all: chosen on a page and by the client; nothing is restarted."""
    first, second = two
    f2 = pool.run("All at F2", rounds=1, config=ASKED)
    comparison = begin_comparison(pool, f2)
    pool.share("F3", first)
    pool.approve_table(sites=1)
    pool.choose_on_page(first, "F3")
    f3 = pool.run("One at F3", rounds=1)
    pool.share("F4", first, second)
    pool.approve_table(sites=2)
    pool.choose_by_client(first, "F4")
    pool.choose_on_page(second, "F4")
    f4 = pool.run("Two at F4")
    extend_comparison(pool, comparison)
    testing = [pool.stage.prepared.enrolments[hospital.centre] for hospital in two]
    central = pool.run("All training in one place", sites=[pool.enrolment, *testing], rounds=ROUNDS)
    compared = read_comparison(pool, centralise(pool, comparison, pool.stage.cast.hospitals[2:]))
    open_rows, (table,) = pool.folder / "open.parquet", pool.memory
    shutil.copy(table, open_rows)
    backup = back_up(pool.stage.stack, pool.folder / "backup")
    keys = {pool.key_of(hospital).read_bytes().strip() for hospital in two}
    centre = back_up_node(pool.node, pool.folder / "centre.tar")
    return Pooled(
        f2, f3, f4, central, compared, open_rows, backup, centre, keys, traces(pool.stage.stack, CANARY, backup)
    )


@dataclass(frozen=True)
class TakenBack:
    """What became of three runs when rows were taken back, after how many seconds, and of the study afterwards."""

    at_work: str
    central: Json
    queued: Json
    seconds: dict[str, float]
    levels: dict[str, str]
    seen_by: list[Json]
    offer: str
    back: Json


@pytest.fixture(scope="module")
def taken_back(pool: Pool, pooled: Pooled, two: tuple[Hospital, Hospital]) -> TakenBack:
    """The first takes its rows back on a page, the second by the client and at its console; then both train again."""
    first, second = two
    stage, consents = pool.stage, [pool.consent_of(hospital) for hospital in two]
    at_work = stage.start_run(rounds=500, quorum=2, label="At work")
    central = stage.start_run(rounds=500, sites=[pool.enrolment], label="At work in one place")
    queued = stage.start_run(rounds=500, label="Queued")
    for run in (at_work, central):
        stage.wait_for(run, lambda now: now["committed"] >= 1)
    assert stage.run(queued)["state"] == "queued"

    there, watch, (table,) = f"/pool-consents/{consents[0]}", Stopwatch(), pool.memory
    before = version_of(table)
    with stage.browser(first.admin) as browser:
        watch.start()
        answer = browser.fill_in(there, f"{there}/delete-rows", {"reason": "The council asked"})
        said = browser.get(there).text
        assert (answer.status_code, "Nothing uses these rows any more" in said) == (302, True), (answer.text, said)
        stopped = stage.run(queued)
        watch.note("page: the queued run is stopped")
        ended = stage.wait_for_end(central)
        watch.note("page: the run on the pool alone has ended")
        stage.wait_until(lambda: version_of(table) != before)
        watch.note("page: the rows are gone from memory")
        stage.wait_until(lambda: "destroyed the key" in browser.get(there).text)
        watch.note("page: the key is destroyed")
    committed = stage.run(at_work)["committed"]
    stage.wait_for(at_work, lambda now: now["committed"] >= committed + 2)
    stage.investigator.post(f"runs/{at_work}/stop", {})

    with pool.client(second.admin) as portal:
        watch.start()
        portal.pooling.revoke(consents[1])
    stage.wait_until(lambda: not pool.memory)
    watch.note("client: the rows are gone from memory")
    levels = pool.levels()
    watch.start()
    stage.stack.node(second.node).command("pool", "revoke", pool.study, "--delete")
    stage.wait_until(lambda: len(pool.events("pooling:consent:deleted")) == len(two))
    watch.note("console: the key is destroyed")

    pool.choose_on_page(first, "F2")
    pool.choose_by_client(second, "F2")
    back = pool.run("All at F2 again", rounds=1, sites=list(stage.prepared.enrolments.values()))
    with pool.client(stage.cast.investigator) as portal:
        seen_by = portal.pooling.runs(consents[0])
    with stage.browser(stage.cast.investigator) as browser:
        offered = re.search(rf'href="([^"]+\?like={pooled.f4["id"]})"', browser.get(there).text)
        assert offered is not None
        offer = browser.get(html.unescape(offered[1])).text
    return TakenBack(at_work, ended, stopped, watch.seconds, levels, seen_by, offer, back)


class Stopwatch:
    """Seconds from a moment to what followed from it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.start()

    def start(self) -> None:
        self._began = time.monotonic()

    def note(self, what: str) -> None:
        self.seconds[what] = round(time.monotonic() - self._began, 1)


def test_a_runs_record_says_at_which_level_each_site_was(pooled: Pooled, taken_back: TakenBack) -> None:
    whole, only_tests = ("F2", "trains"), ("F3", "tests")
    others = {"Switzerland": whole, "VA Long Beach": whole}
    assert parts(pooled.f2) == {"Cleveland": whole, "Hungary": whole, **others}
    with_pool = {**others, CENTRE.centre: whole}
    assert parts(pooled.f3) == {"Cleveland": only_tests, "Hungary": whole, **with_pool}
    assert parts(pooled.f4) == {"Cleveland": ("F4", "tests"), "Hungary": ("F4", "tests"), **with_pool}
    assert parts(taken_back.back) == parts(pooled.f2)
    for run in (pooled.f2, pooled.f3, pooled.f4, pooled.central, taken_back.back):
        assert (run["state"], run["reason"], run["version"]) == ("completed", "", pooled.f2["version"])


def test_every_degree_is_tested_on_the_same_rows(pool: Pool, pooled: Pooled) -> None:
    def tested(run: Json) -> dict[str, float]:
        last = pool.stage.rounds(run["id"])[-1]["sites"]
        return {row["site"]: row["metrics"]["num-examples"] for row in last if row["phase"] == "evaluate"}

    assert {name: tested(pooled.f2)[name] for name in TRAINING} == {
        name: tested(pooled.central)[name] for name in TRAINING
    }


STORY = (
    "planned the run “All at F2”.",
    "The run “All at F2” completed.",
    "Cleveland consented at level F3 until",
    "The pool node made a table of pooled rows (sites in it: 1).",
    "changed the level of Cleveland from F2 to F3.",
    "planned the run “One at F3”.",
    "The run “One at F3” completed.",
    "Hungary consented at level F4 until",
    "The pool node made a table of pooled rows (sites in it: 2).",
    "changed the level of Cleveland from F3 to F4.",
    "changed the level of Hungary from F2 to F4.",
    "planned the run “Two at F4”.",
    "The run “Two at F4” completed.",
    "The run “All training in one place” completed.",
    "revoked the consent of Cleveland to pool rows (The council asked).",
    "stopped the run “Queued”.",
    "changed the level of Cleveland from F4 to F0.",
    "The portal removed what it held of the encrypted rows of Cleveland (its site asked for deletion).",
    "asked to delete the pooled rows of Cleveland.",
    "The pool node destroyed the key of Cleveland's pooled rows at",
    "revoked the consent of Hungary to pool rows",
    "changed the level of Hungary from F4 to F0.",
    "Hungary handed in its signature under a revocation.",
    "asked to delete the pooled rows of Hungary.",
    "The pool node destroyed the key of Hungary's pooled rows at",
    "changed the level of Cleveland from F0 to F2.",
    "changed the level of Hungary from F0 to F2.",
    "planned the run “All at F2 again”.",
    "The run “All at F2 again” completed.",
)


def test_the_auditor_reads_the_story_in_sentences(pool: Pool, taken_back: TakenBack) -> None:
    told = timeline(pool)
    rest = iter(told)
    missed = next((sentence for sentence in STORY if not any(sentence in text for text in rest)), None)
    assert missed is None, (missed, told)


def test_a_comparison_shows_what_each_degree_brings_and_costs(pooled: Pooled) -> None:
    check_comparison(pooled.compared, TRAINING)


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


def test_rows_that_are_taken_back_are_used_no_more_within_a_minute(
    pool: Pool, taken_back: TakenBack, record_testsuite_property: Callable[[str, object], None]
) -> None:
    for what, took in taken_back.seconds.items():
        record_testsuite_property(f"seconds until, {what}", took)
    assert all(took < MOST_S for took in taken_back.seconds.values()), taken_back.seconds
    assert (taken_back.queued["state"], taken_back.queued["reason_code"]) == ("stopped", "E_POOL_REVOKED")
    assert (taken_back.central["state"], taken_back.central["reason_code"]) == ("failed", "E_POOL_REVOKED")
    rounds = pool.stage.rounds(taken_back.at_work)
    answers = [
        [row for row in item["sites"] if (row["site"], row["phase"]) == (CENTRE.centre, "train")] for item in rounds
    ]
    assert [row["state"] for row in answers[1]] == ["done"]
    assert "E_POOL_REVOKED" in {row["code"] for rows in answers for row in rows}
    assert all(row["state"] != "done" for rows in answers[-2:] for row in rows)
    assert pool.node.command("log", "--verify")["verified"]


def test_the_pool_node_signed_that_the_keys_are_gone(pool: Pool, taken_back: TakenBack) -> None:
    key, statements = pool.deletions()
    assert len(statements) == len(TRAINING)
    for envelope in statements:
        said = verify_deletion(envelope, {key_id(key): key})
        assert (said.node, said.reason, len(said.objects) > 0) == (pool.node_id, "revoked", True)


def test_a_site_that_took_its_rows_back_only_tests_until_it_chooses(taken_back: TakenBack) -> None:
    assert {name: taken_back.levels[name] for name in TRAINING} == dict.fromkeys(TRAINING, "F0")


def test_models_that_have_seen_deleted_rows_are_listed_and_runs_without_them_offered(
    pool: Pool, pooled: Pooled, taken_back: TakenBack
) -> None:
    seen = {item["run"] for item in taken_back.seen_by}
    assert {pooled.f4["id"], pooled.central["id"]} <= seen
    assert not {pooled.f2["id"], taken_back.back["id"]} & seen
    field = re.search(r'<input[^>]*name="rounds"[^>]*>', taken_back.offer)
    assert field is not None
    assert 'value="2"' in field[0]
    assert "Two at F4" in taken_back.offer


def test_after_deletion_a_restored_backup_opens_for_nobody_but_the_site(
    pool: Pool, pooled: Pooled, taken_back: TakenBack, two: tuple[Hospital, Hospital]
) -> None:
    """Neither what the portal kept nor what the pool node's machine kept, both from before the deletion."""
    there = pool.folder / "restored"
    sealed = restore(pool.stage.stack, pooled.backup, there)
    assert sealed.keys() == TRAINING.keys()
    centre = restore_node(pooled.centre_backup, pool.folder / "restored centre")
    assert [path.name for path in files(centre / "poolnode")] == ["CACHEDIR.TAG"]
    now = {path.read_bytes().strip() for path in files(pool.key_of(two[0]).parent)}
    assert now, "the pool node has keys of others, and made new ones for what may come"
    assert not pooled.keys & now
    places = [*files(there), *files(centre), *files(pool.stage.stack.folders.state)]
    for secret in pooled.keys:
        assert [str(path) for path in places if secret in read(path)] == [], "a destroyed key is nowhere"
    for content in sealed.values():
        for secret in now:
            with pytest.raises(Refusal, match="E_SEALED"):
                open_sealed(io.BytesIO(content), secret.decode("ascii"))
    assert not [path for path in (*files(there), *files(centre)) if found_in(read(path), CANARY)]
    own = re.search(rf"{SECRET.decode()}\w+", pool.recovery_of(two[0]).read_text())
    assert own is not None
    plain = open_sealed(io.BytesIO(sealed[two[0].centre]), own[0])
    assert float(CANARY) in read_table(plain).column("oldpeak").to_pylist(), "but for the site itself"

"""Rows of four hospitals in one place: consented, sealed, opened by a pool node, trained on, taken back."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from devstack.demo import people, runs
from devstack.demo.cast import DATASET, Hospital, Person
from devstack.demo.people import Sessions
from devstack.nodes import NodeHome
from federation.library.heart_disease.heart_disease.preparation import COLUMNS
from tests.stage import Json, Stage, set_up_stage

# A stage of its own can stand beside the others' in another process.
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("pooled rows")]

STEWARD = "Demo Steward"
CENTRE = Hospital("Coordinating centre", "centre", "Zurich", "CH", Person("centre@demo.example", "Demo Centre", ""))

WISH = f"""
level = "F4"
dataset = "{DATASET}"
retention_until = 2030-01-01
days = 100

[legal_basis]
gdpr6 = "6(1)(e)"
gdpr9 = "9(2)(j)"
note = "public rows"

[holdout]
label = {{ column = "num", op = ">", value = 0 }}
train = "0.66"
seed = 43
complete = {json.dumps(list(COLUMNS))}

[k]
columns = ["sex"]
least = 1

[profile]
""" + "".join(f'{name} = {{ action = "keep" }}\n' for name in COLUMNS)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A stage of its own: a fifth site and second signers would be in the way of other tests."""
    with set_up_stage() as made:
        yield made


@dataclass(frozen=True)
class Pool:
    """A study of the stage's hospitals whose rows a fifth site's node holds."""

    stage: Stage
    study: str
    node: NodeHome
    enrolment: str
    folder: Path

    def tables(self) -> list[Json]:
        return list(self.node.command("pool", "status")["tables"])

    def rows(self) -> int:
        """Rows that the pool node has open, as its journal says."""
        return sum(int(row["detail"]["rows"]) for row in self.journal("pool_opened"))

    def journal(self, kind: str) -> list[Json]:
        """What the pool node wrote down of a kind."""
        return [row for row in self.node.command("log", "--limit", "500")["entries"] if row["kind"] == kind]

    def share(self, hospital: Hospital) -> None:
        """Two people of a hospital consent on its console; then its rows are sent."""
        node = self.stage.stack.node(hospital.node)
        secret = self.folder / f"{hospital.node}.passphrase"
        secret.write_text("a passphrase of the demo\n")
        node.command("trust", "add", STEWARD, "--role", "data steward", "--passphrase-file", str(secret))
        node.command("pool", "recovery-key", str(self.folder / f"{hospital.node}.key"))
        wish = self.folder / "consent.toml"
        wish.write_text(WISH)
        key = str(node.passphrase_file)
        signers = ("--approver", hospital.admin.name, "--second", STEWARD, "--passphrase-file", key)
        begun = node.command("pool", "consent", self.study, "-f", str(wish), *signers, "--yes")
        node.command("pool", "cosign", begun["consent"], "--passphrase-file", str(secret), "--yes")
        assert node.command("pool", "send", self.study)["sent"]


@pytest.fixture(scope="module")
def pool(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """The coordinating centre joins, is named, and makes a key for each hospital."""
    cast, stack, administrator = stage.cast, stage.stack, stage.prepared.sessions.of(stage.cast.administrator)
    person = CENTRE.admin
    administrator.post("users", {"email": person.email, "name": person.name, "password": person.password})
    admin = people.sign_in(stack, CENTRE.admin)
    sessions = Sessions({**stage.prepared.sessions.by_email, CENTRE.admin.email: admin})
    alone = replace(cast, hospitals=(CENTRE,))
    (site,) = people.open_sites(sessions, alone).values()
    study = people.open_study(sessions, cast)
    people.enrol_sites(sessions, cast, study, stage.prepared.sites)
    (enrolment,) = people.enrol_sites(sessions, alone, study, {CENTRE.centre: site}).values()
    named = people.enrol_node(stack, admin, CENTRE, site)
    stack.start_agent(CENTRE.node)
    for hospital in cast.hospitals:
        people.offer_dataset(stack, hospital, study, stage.rows[hospital.centre])
    stage.investigator.put(f"studies/{study}/pool", {"node": named})
    made = Pool(stage, study, stack.node(CENTRE.node), enrolment, tmp_path_factory.mktemp("pool"))
    stage.wait_until(lambda: len(made.node.command("pool", "status")["keys"]) >= len(cast.hospitals))
    yield made
    admin.close()


@pytest.fixture(scope="module")
def shared(pool: Pool) -> Pool:
    """Every hospital's two people consent, and its rows are sent and opened."""
    for hospital in pool.stage.cast.hospitals:
        pool.share(hospital)
    pool.stage.wait_until(lambda: pool.rows() == 199 + 172 + 30 + 85)
    pool.stage.wait_until(lambda: len(pool.tables()) == 1)
    return pool


def test_the_pool_node_holds_the_training_rows_of_four_hospitals(shared: Pool) -> None:
    (table,) = shared.tables()
    assert table["rows_band"] == "100-499"


def test_a_run_on_the_pooled_rows_completes_under_an_approval_of_the_centre(shared: Pool) -> None:
    version = people.submit_library_script(shared.stage.investigator, shared.study)
    people.approve_script(shared.stage.stack, CENTRE, version, shared.tables()[0]["id"])
    shared.stage.investigator.post(f"studies/{shared.study}/transition", {"to": "active"})
    plan = {"version": version, "strategy": "fedavg", "rounds": 1, "sites": [shared.enrolment], "quorum": 1}
    run = runs.start(shared.stage.investigator, shared.study, plan)
    done = shared.stage.wait_for_end(run)
    assert (done["state"], done["reason"]) == ("completed", "")


def test_rows_that_are_taken_back_are_gone_within_a_minute(shared: Pool) -> None:
    """The key is destroyed, and the portal has the pool node's word for it."""
    before = shared.tables()[0]["id"]
    first = shared.stage.cast.hospitals[0]
    shared.stage.stack.node(first.node).command("pool", "revoke", shared.study, "--delete")
    shared.stage.wait_until(lambda: [table["id"] for table in shared.tables()] not in ([], [before]))
    assert len(shared.journal("pool_destroyed")) == 1
    assert shared.node.command("log", "--verify")["verified"]

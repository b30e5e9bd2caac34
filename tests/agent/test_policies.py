"""Standing policies on the console, and what `policy explain` says of a script."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fedstudy_core import bundle as bundles
from fedstudy_core.sandbox.choosing import BARE
from fedstudy_core.statement import verify_statement
from fedstudy_node.approvals import Approvals
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.offers import Offers
from fedstudy_node.policies import Policies, admit
from fedstudy_node.trust import Trust
from tests.agent import portal as portals
from tests.agent.portal import VERSION, FakePortal
from tests.agent.test_console import Console
from tests.factories.agent import script

FAB = script()
SHA256 = bundles.inspect(FAB).sha256


@pytest.fixture
def console(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    monkeypatch.setattr("fedstudy_node.cli.policing.choose_sandbox", lambda _: BARE)
    with portals.serve(FakePortal(FAB)) as address:
        made = Console(tmp_path, FakePortal(FAB), address, capsys)
        made.set_up()
        made.facts("review", VERSION)  # the node has the script's bytes
        yield made


def add(console: Console, *words: str) -> dict[str, object]:
    limits = ("--min-sites", "1", "--sandbox-min", "S0", "--passphrase-file", str(console.passphrase), "--yes")
    return dict(console.facts("policy", "add", "--dataset", "heart", "--script", VERSION, *limits, *words))


def explain(console: Console, *words: str) -> dict[str, object]:
    """What `policy explain` says; its exit status agrees with its verdict."""
    status, out, error = console.type("policy", "explain", *words, "--json")
    assert out, error
    told = dict(json.loads(out))
    assert status == (0 if told["runs"] else 1)
    return told


def refused(told: dict[str, object]) -> list[str]:
    return [check["code"] for check in told["checks"] if not check["holds"]]  # type: ignore[attr-defined]


def test_a_policy_is_signed_listed_used_and_taken_back(console: Console) -> None:
    made = add(console, "--max-rounds", "7", "--days", "30")
    assert made["scripts"] == [SHA256]
    assert [row["id"] for row in console.facts("policy", "list")] == [made["id"]]
    home = Home.open(console.home)
    with closing(Ledger(home.ledger_path)) as ledger:
        signed = admit(home, ledger, Offers(home).fetch(VERSION, None), Policies(home).in_force()[0])
        kinds = {entry.kind for entry in ledger.journal.entries(50)}
    statement = verify_statement(signed.envelope, Trust(home).signers())
    assert (statement.policy, statement.rounds, statement.not_after) == (made["id"], 7, made["not_after"])
    assert "policy_in_force" in kinds
    assert console.facts("policy", "revoke", str(made["id"])[:12], "--reason", "over")["revoked"] == made["id"]
    assert console.facts("policy", "list") == []
    assert {made["id"], signed.statement_id} <= set(Approvals(home).revocations().statements)
    assert console.fails("policy", "revoke", str(made["id"])[:12]) == "E_NOT_FOUND"


def test_a_policy_needs_the_passphrase_and_the_people_that_the_dataset_asks_for(console: Console) -> None:
    wrong = console.folder / "wrong"
    wrong.write_text("another passphrase\n")
    words = ("policy", "add", "--dataset", "heart", "--script", VERSION, "--yes", "--passphrase-file", str(wrong))
    assert console.fails(*words) == "E_PASSPHRASE"
    file = next((console.home / "datasets").glob("*.toml"))
    file.write_text(file.read_text().replace("people = 1", "people = 2"))
    assert console.fails(*words) == "E_SECOND_PERSON"
    assert console.facts("policy", "list") == []


def test_two_people_sign_a_policy(console: Console) -> None:
    second = console.folder / "second"
    second.write_text("a second passphrase\n")
    console.facts("trust", "add", "Demo Steward", "--role", "data steward", "--passphrase-file", str(second))
    file = next((console.home / "datasets").glob("*.toml"))
    file.write_text(file.read_text().replace("people = 1", "people = 2"))
    people = ("--approver", "Ada Lovelace", "--second", "Demo Steward", "--second-passphrase-file", str(second))
    made = add(console, *people)
    assert [signer["name"] for signer in made["approvers"]] == ["Ada Lovelace", "Demo Steward"]  # type: ignore[attr-defined]
    assert explain(console, VERSION)["runs"]


def test_scripts_of_another_study_or_unknown_ones_are_not_admitted(console: Console) -> None:
    words = ("policy", "add", "--dataset", "heart", "--yes", "--passphrase-file", str(console.passphrase))
    assert console.fails(*words, "--script", "ffffffff") == "E_NOT_FOUND"
    shelf = console.home / "offers.json"
    rows = json.loads(shelf.read_bytes())
    shelf.write_text(json.dumps([row | {"study": "another"} for row in rows]))
    assert console.fails(*words, "--script", VERSION) == "E_STUDY"
    assert console.facts(*words, "--script", "a" * 64, "--min-sites", "1")["scripts"] == ["a" * 64]


def test_explain_says_that_nobody_approved(console: Console) -> None:
    told = explain(console, VERSION)
    assert (told["runs"], refused(told)) == (False, ["E_NOT_APPROVED"])


def test_explain_goes_through_the_gates_checks(console: Console) -> None:
    signed = console.approve("--min-sites", "1", "--sandbox-min", "S0", "--max-rounds", "5")
    told = explain(console, VERSION, "--dataset", "heart", "--config", "step=2.5", "mode=good")
    assert (told["runs"], told["statement"], refused(told)) == (True, signed["statement"], [])
    names = [check["name"] for check in told["checks"]]  # type: ignore[attr-defined]
    assert {"signatures", "script's bytes", "configuration", "sandbox", "people", "validity", "revocation"} <= set(
        names
    )
    status, out, _ = console.type("policy", "explain", VERSION)
    assert status == 0
    assert "It would run, under approval" in out


def test_explain_tells_every_rule_that_does_not_hold(console: Console) -> None:
    console.approve("--min-sites", "3", "--sandbox-min", "S3", "--max-rounds", "5")
    told = explain(console, VERSION, "--config", "step=99.0", "--rounds", "6", "--sites", "2")
    assert refused(told) == ["E_RUN_CONFIG", "E_ROUNDS", "E_QUORUM", "E_SANDBOX"]
    _, out, _ = console.type("policy", "explain", VERSION, "--rounds", "6", "--sites", "3")
    assert "It would be refused: E_ROUNDS." in out
    Approvals(Home.open(console.home)).revoke(str(told["statement"]), "")
    assert "E_REVOKED" in refused(explain(console, VERSION))
    Path(console.data).write_text("age,sex\n1,1\n")
    assert "E_DATASET" in refused(explain(console, VERSION))


def test_explain_reads_a_bundle_from_a_file(console: Console) -> None:
    console.approve("--min-sites", "1", "--sandbox-min", "S0")
    file = console.folder / "numbers.fab"
    file.write_bytes(FAB)
    assert explain(console, str(file))["runs"]
    file.write_bytes(script(**{"np.zeros(14": "np.ones(14"}))
    assert refused(explain(console, str(file))) == ["E_NOT_APPROVED"]


def test_explain_names_the_policy_that_would_admit_a_script_and_keeps_nothing(console: Console) -> None:
    made = add(console)
    told = explain(console, VERSION)
    assert (told["runs"], told["policy"]) == (True, made["id"])
    assert Approvals(Home.open(console.home)).all() == []
    console.facts("policy", "revoke", str(made["id"]))
    assert refused(explain(console, VERSION)) == ["E_NOT_APPROVED"]


def test_a_setting_that_is_none_is_refused(console: Console) -> None:
    assert console.fails("policy", "explain", VERSION, "--config", "step") == "E_RUN_CONFIG"

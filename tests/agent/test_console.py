"""The console, from an empty folder to a signed approval, against a small portal."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fedstudy_core.approvers import Approver
from fedstudy_core.statement import verify_statement
from fedstudy_node.cli import main
from fedstudy_node.cli.output import moment
from fedstudy_node.home import Home
from fedstudy_node.ledger import Departure, Ledger
from fedstudy_node.trust import Trust
from tests.agent import portal as portals
from tests.agent.portal import APPROVAL, DATASET, TOKEN, VERSION, FakePortal
from tests.factories.agent import PASSPHRASE, STUDY, TABLE, needy, script


class Console:
    """A person at a hospital's console."""

    def __init__(self, folder: Path, portal: FakePortal, address: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = folder / "home"
        self.folder = folder
        self.portal = portal
        self.address = address
        self.capsys = capsys
        self.passphrase = folder / "passphrase"
        self.passphrase.write_bytes(PASSPHRASE + b"\n")
        self.data = folder / "heart.csv"
        self.data.write_text(TABLE)

    def type(self, *words: str) -> tuple[int, str, str]:
        """Type a command; answer status, output, error."""
        status = main([*words, "--home", str(self.home)])
        output = self.capsys.readouterr()
        return status, output.out, output.err

    def facts(self, *words: str) -> Any:
        status, out, error = self.type(*words, "--json")
        assert status in ((0, 3, 4) if words[0] == "status" else (0,)), error
        return json.loads(out)

    def fails(self, *words: str) -> str:
        status, _, error = self.type(*words, "--json")
        assert status == 1
        return str(json.loads(error.splitlines()[0])["code"])

    def set_up(self) -> None:
        person = ("--approver", "Ada Lovelace", "--passphrase-file", str(self.passphrase))
        self.facts("init", "--name", "cleveland", *person)
        self.facts("enrol", "--portal", self.address, "--token", TOKEN)
        self.facts("dataset", "add", "--study", STUDY, "--name", "heart", str(self.data))

    def trusted(self) -> Mapping[str, Approver]:
        return Trust(Home.open(self.home)).approvers()

    def approve(self, *words: str) -> Any:
        file = str(self.passphrase)
        return self.facts("approve", VERSION, "--dataset", "heart", "--passphrase-file", file, "--yes", *words)


@pytest.fixture
def console(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Console]:
    portal = FakePortal(script())
    with portals.serve(portal) as address:
        yield Console(tmp_path, portal, address, capsys)


def test_a_node_goes_from_nothing_to_a_signed_approval(console: Console) -> None:
    """init, enrol, offer a dataset, read the script, sign, look at the state, revoke."""
    console.set_up()
    words = console.facts("status")["words"]
    assert len(words.split()) == 6
    offered = console.portal.last("datasets")
    assert offered["columns"] == ["age", "sex"]
    assert offered["rows_band"] == "1-9"
    assert "63" not in json.dumps(offered["report"])
    assert console.facts("dataset", "list")[0]["state"] == "unchanged"
    assert console.facts("review")[0]["version"] == VERSION
    assert [file["path"] for file in console.facts("review", VERSION)["files"]]

    signed = console.approve("--approver", "Ada Lovelace", "--days", "30", "--max-rounds", "20")
    assert (signed["approval"], signed["dataset"]) == (APPROVAL, DATASET)
    statement = verify_statement(console.portal.envelope(), console.trusted())
    assert (statement.rounds, statement.approvers[0].name, statement.meaning) == (20, "Ada Lovelace", "approved")
    assert statement.run_config["step"].max is not None
    assert statement.privacy.min_sites == 3, "a floor for privacy where nothing is said"

    (known,) = console.facts("status")["approvals"]
    assert known["decision"] == "approved"
    assert known["signed_by"] == f"Ada Lovelace, site admin, meaning “approved”, {moment(statement.issued_at)}"
    assert console.facts("revoke", APPROVAL, "--reason", "a mistake")["revoked"] == [signed["statement"]]
    assert console.facts("status")["approvals"][0]["decision"] == "revoked"
    assert json.loads((console.home / "revoked.json").read_text())["statements"][signed["statement"]]["reason"]


def test_a_site_pauses_its_node_and_vetoes_a_run(console: Console) -> None:
    """pause, look, resume, veto, read the journal and have it verified."""
    console.set_up()
    assert console.facts("pause", "--reason", "audit") == {"paused": True, "reason": "audit"}
    assert console.fails("pause") == "E_STATE"
    status = console.facts("status")
    assert status["paused"]["reason"] == "audit"
    console.facts("resume")
    assert console.facts("status")["paused"] is None
    run = "00000000-0000-0000-0000-0000000000aa"
    assert console.fails("veto", run[:8]) == "E_NOT_FOUND"
    assert console.facts("veto", run, "--reason", "not ours")["run"] == run
    assert console.facts("status")["vetoes"][run]["reason"] == "not ours"
    _, out, _ = console.type("status")
    assert "Vetoed runs" in out

    told = console.facts("log", "--verify")
    assert told["verified"]
    assert [entry["kind"] for entry in told["entries"]][:3] == ["vetoed", "resumed", "paused"]
    assert told["entries"][0]["head"] == told["head"]
    assert len(console.facts("log", "--limit", "1")["entries"]) == 1
    _, out, _ = console.type("log", "--verify")
    assert "rows hold" in out
    with closing(sqlite3.connect(console.home / "ledger.sqlite", isolation_level=None)) as database:
        database.executescript("DROP TRIGGER journal_kept; UPDATE journal SET body = replace(body, 'audit', 'x')")
    assert console.fails("log", "--verify") == "E_JOURNAL"


def test_a_site_sees_what_left_it(console: Console) -> None:
    console.set_up()
    run = "00000000-0000-0000-0000-0000000000aa"
    held = json.dumps({"arrays": {"arrays": {"weight": "float32[1, 13]"}}, "metrics": {"loss": 1}})
    with closing(Ledger(console.home / "ledger.sqlite")) as ledger:
        ledger.note_departure(
            Departure("s", run, "7", 1, "train", "a", "done", "", 10, 20, "f" * 64, numbers=14, contents=held)
        )
        ledger.note_departure(Departure("s", "another", "8", 1, "train", "a", "refused", "E_BUNDLE", 10, 0, ""))
    left = console.facts("left")
    assert [(item["outcome"], item["code"], item["numbers"]) for item in left] == [
        ("refused", "E_BUNDLE", 0),
        ("done", "", 14),
    ]
    assert left[0]["contents"] is None
    assert left[1]["contents"]["arrays"] == {"arrays": {"weight": "float32[1, 13]"}}
    assert [item["run"] for item in console.facts("left", "--run", run[:12])] == [run]
    assert len(console.facts("left", "--limit", "1")) == 1
    _, out, _ = console.type("left")
    assert "weight" in out
    assert "E_BUNDLE" in out


def test_a_reviewer_sees_what_a_script_sends_back(console: Console) -> None:
    console.set_up()
    assert console.facts("review", VERSION)["declaration"]["metrics"]["mean"] == "mean"
    _, out, _ = console.type("review", VERSION)
    assert "What it says that it sends back" in out
    assert "query.initial_model" in out


def test_status_tells_programs_how_the_agent_is(console: Console) -> None:
    """0 when it runs and is connected, 3 when it does not run, 4 when it has no connection."""
    console.set_up()
    assert console.type("status")[0] == 3
    state = {"pid": os.getpid(), "fleet": "connected", "portal": "connected"}
    for changed, expected in (({}, 0), ({"fleet": "disconnected"}, 4), ({"portal": "disconnected"}, 4)):
        (console.home / "status.json").write_text(json.dumps(state | changed))
        assert console.type("status")[0] == expected
        assert console.type("status", "--json")[0] == expected


def test_people_read_plain_words(console: Console) -> None:
    console.set_up()
    status, out, _ = console.type("review", VERSION)
    assert status == 0
    assert "Adds a step to every number" in out
    assert "What a run may set" in out
    status, out, _ = console.type("status")
    assert "Six words" in out
    assert "does not run" in out
    status, out, _ = console.type("dataset", "list")
    assert "unchanged" in out


def test_a_later_version_is_shown_as_a_change(console: Console) -> None:
    console.set_up()
    console.approve()
    console.portal.fab = script(**{"Adds a step": "Takes a step from"})
    console.portal.listed_sha256 = portals.bundles.inspect(console.portal.fab).sha256
    _, out, _ = console.type("review", VERSION)
    assert '-"""Adds a step to every number' in out
    assert '+"""Takes a step from to every number' in out
    assert "def evaluate" not in out
    assert "def evaluate" in console.type("review", VERSION, "--whole")[1]


def test_a_rejection_is_signed_too(console: Console) -> None:
    console.set_up()
    facts = console.facts("reject", VERSION, "--passphrase-file", str(console.passphrase), "--yes")
    assert facts["decision"] == "rejected"
    statement = verify_statement(console.portal.envelope(), console.trusted())
    assert statement.meaning == "rejected"


def test_revoking_works_while_the_portal_is_away(console: Console) -> None:
    console.set_up()
    signed = console.approve()
    home = Home.open(console.home)
    home.save(type(home.settings())(**{**vars(home.settings()), "portal": "http://127.0.0.1:1"}))
    assert console.facts("revoke", APPROVAL, "--reason", "amended")["portal_told"] is False
    assert signed["statement"] in json.loads((console.home / "revoked.json").read_text())["statements"]
    entry = console.facts("log", "--limit", "1")["entries"][0]
    assert (entry["kind"], entry["subject"]) == ("revoked", signed["statement"])
    assert entry["detail"]["reason"] == "amended"


def test_a_script_is_read_and_signed_while_the_portal_is_away(console: Console) -> None:
    console.set_up()
    console.facts("review", VERSION)
    home = Home.open(console.home)
    home.save(type(home.settings())(**{**vars(home.settings()), "portal": "http://127.0.0.1:1"}))
    assert [row["version"] for row in console.facts("review")] == [VERSION]
    facts = console.approve()
    assert (facts["decision"], facts["approval"]) == ("approved", "")
    status, out, _ = console.type("review", VERSION[:8])
    assert status == 0, out


def test_the_journal_tells_who_may_sign(console: Console) -> None:
    """An invitation, an approver more and one less leave a row each; the code itself is in none."""
    console.set_up()
    code = console.facts("trust", "invite", "Grace Hopper", "--role", "data steward")["code"]
    file = str(console.passphrase)
    key = console.facts("trust", "add", "Grace Hopper", "--role", "data steward", "--passphrase-file", file)["id"]
    console.facts("trust", "remove", "Grace Hopper", "--yes")
    rows = console.facts("log", "--limit", "3")["entries"]
    assert [row["kind"] for row in rows] == ["approver_removed", "approver_added", "code_printed"]
    assert {row["subject"] for row in rows} == {"Grace Hopper"}
    assert [row["detail"].get("key") for row in rows] == [key, key, None]
    assert code not in json.dumps(rows)


def test_a_reviewer_sees_what_to_look_at_first(console: Console) -> None:
    console.portal.fab = script(**{'"""Adds a step': 'import socket\n\n"""Adds a step'})
    console.portal.listed_sha256 = portals.bundles.inspect(console.portal.fab).sha256
    console.set_up()
    found = console.facts("review", VERSION)["findings"]
    assert ("network", "high") in {(item["category"], item["risk"]) for item in found}
    _, out, _ = console.type("review", VERSION)
    assert "What to look at first" in out
    assert found[0]["detail"].split()[0] in out


def test_a_reviewer_sees_which_packages_are_not_here(console: Console) -> None:
    console.portal.fab = needy()
    console.portal.listed_sha256 = portals.bundles.inspect(console.portal.fab).sha256
    console.set_up()
    assert console.facts("review", VERSION)["missing_packages"] == ["of-tomorrow>=2.0"]
    _, out, _ = console.type("review", VERSION)
    assert "This node lacks of-tomorrow>=2.0" in out
    console.approve("--approver", "Ada Lovelace")
    _, out, _ = console.type("policy", "explain", VERSION)
    assert "E_DEPENDENCY" in out


def test_what_the_console_names_can_be_typed_again(console: Console) -> None:
    """However narrow the console is, the id that it shows is one that it takes."""
    console.set_up()
    _, out, _ = console.type("review")
    shown = out.rpartition("───")[2].split()[0]
    assert console.facts("review", shown)["version"] == VERSION


def test_revoking_everything_raises_the_epoch(console: Console) -> None:
    console.set_up()
    console.approve()
    console.facts("revoke", "--all")
    assert json.loads((console.home / "revoked.json").read_text())["epoch"] == 1


def test_a_bundle_other_than_the_listed_one_is_not_signed(console: Console) -> None:
    console.set_up()
    console.portal.fab = script(Adds="Steals")
    file = str(console.passphrase)
    code = console.fails("approve", VERSION, "--dataset", "heart", "--passphrase-file", file, "--yes")
    assert code == "E_BUNDLE"
    assert "approvals" not in [route for route, _ in console.portal.told]


def test_a_changed_file_is_not_signed_for(console: Console) -> None:
    console.set_up()
    console.data.write_text(TABLE + "50,1\n")
    file = str(console.passphrase)
    code = console.fails("approve", VERSION, "--dataset", "heart", "--passphrase-file", file, "--yes")
    assert code == "E_DATASET"


def test_without_the_passphrase_nothing_is_signed(console: Console) -> None:
    console.set_up()
    console.passphrase.write_text("another passphrase")
    file = str(console.passphrase)
    code = console.fails("approve", VERSION, "--dataset", "heart", "--passphrase-file", file, "--yes")
    assert code == "E_PASSPHRASE"
    assert not list((console.home / "approvals").iterdir())


def test_a_dataset_that_does_not_fit_is_reported_but_not_offered(console: Console) -> None:
    console.facts("init", "--name", "cleveland", "--passphrase-file", str(console.passphrase))
    console.facts("enrol", "--portal", console.address, "--token", TOKEN)
    console.data.write_text("age,ssn\n7,123-45-6789\n")
    status, out, error = console.type(
        "dataset", "add", "--study", "Hearts", "--name", "heart", str(console.data), "--json"
    )
    assert status == 1
    assert json.loads(error)["code"] == "E_DATASET_INVALID"
    codes = {finding["code"] for finding in json.loads(out)["report"]["findings"]}
    assert {"missing_variable", "out_of_range", "identifier_column"} <= codes
    assert console.portal.last("datasets")["report"]["passed"] is False
    assert "123-45" not in json.dumps(console.portal.last("datasets"))
    assert console.facts("dataset", "list") == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("enrol", "--portal", "http://portal.example", "--token", TOKEN), "E_PORTAL"),
        (("enrol", "--portal", "ftp://portal.example", "--token", TOKEN), "E_PORTAL"),
        (("enrol", "--portal", "http://127.0.0.1:1", "--token", TOKEN), "E_PORTAL"),
        (("enrol", "--portal", "http://127.0.0.1:1", "--token", TOKEN, "--ca", "/nothing"), "E_INVALID"),
        (("run",), "E_HOME"),
        (("review",), "E_HOME"),
        (("init", "--name", "again", "--passphrase-file", "/nothing"), "E_PASSPHRASE"),
    ],
)
def test_errors_have_a_code_and_a_sentence(console: Console, words: tuple[str, ...], code: str) -> None:
    console.facts("init", "--name", "cleveland", "--passphrase-file", str(console.passphrase))
    assert console.fails(*words) == code


def test_a_wrong_token_and_other_words_end_enrolment(console: Console) -> None:
    console.facts("init", "--name", "cleveland", "--passphrase-file", str(console.passphrase))
    status, _, error = console.type("enrol", "--portal", console.address, "--token", "x" * 30)
    assert status == 1
    assert "E_TOKEN" in error
    console.portal.words = "other words than the node computes itself"
    assert console.fails("enrol", "--portal", console.address, "--token", TOKEN) == "E_WORDS"
    assert not Home.open(console.home).settings().is_enrolled


def test_a_request_that_lost_a_race_is_sent_again(console: Console) -> None:
    console.set_up()
    console.portal.refuse_sequences = 2
    assert console.facts("review")
    console.portal.refuse_sequences = 5
    status, _, error = console.type("review")
    assert status == 1
    assert "E_SEQ" in error


def test_the_agent_runs_once_beats_and_stops(console: Console) -> None:
    """`run` in a process of its own: a second one is refused, SIGTERM ends it, its log holds no secret."""
    console.set_up()
    program = [str(Path(sys.executable).parent / "fedstudy-node"), "run", "--home", str(console.home)]
    agent = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while not any(route == "heartbeat" for route, _ in console.portal.told):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert console.portal.last("heartbeat")["datasets"][0]["id"] == DATASET
        assert console.fails("run") == "E_STATE"
        while console.facts("status")["agent"].get("fleet") != "disconnected":
            assert time.monotonic() < until
            time.sleep(0.05)
        assert console.facts("status")["agent"]["running"]
    finally:
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(timeout=15) == 0
    assert not console.facts("status")["agent"]["running"]
    log = (console.home / "agent.log").read_text()
    assert TOKEN not in log
    assert PASSPHRASE.decode() not in log
    assert (console.home / "agent.log").stat().st_mode & 0o077 == 0
    assert list((console.home / "work").iterdir()) == []

"""The command line: steering and following runs, what leaves the portal, tokens, webhooks, and any request."""

from __future__ import annotations

import csv
import hmac
import io
import json
import stat
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.main

from fedstudy_client import credentials
from fedstudy_client.cli import app, main
from tests.client.answering import STUDY, URL, Portal, page, results, run

NOW = "2030-01-01T12:00:00Z"
RUN = run("a")
AT = f"runs/{RUN['id']}"


def problem(code: str, status: int = 409) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": "No."})


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedstudy_client.following.time.sleep", lambda _: None)


@pytest.fixture
def runs(signed_in: Portal) -> Portal:
    signed_in.answers |= {f"GET {AT}": RUN, f"GET {AT}/results": {**results(auc=0.8), "awaited": []}}
    return signed_in


def sent(portal: Portal, what: str) -> Any:
    return next(body for asked, _, body in reversed(portal.came) if asked == what)


def test_every_argument_and_option_says_what_it_is() -> None:
    missing = []

    def look(command: Any, words: str) -> None:
        for parameter in command.params:
            if not parameter.help:
                missing.append(f"{words} {parameter.name}")
        for name, inner in getattr(command, "commands", {}).items():
            look(inner, f"{words} {name}")

    look(typer.main.get_command(app), "fedstudy")
    assert missing == []


def test_help_shows_what_an_argument_is_and_its_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "fork", "-h"]) == 0
    shown = capsys.readouterr().out
    assert "Its id or label." in shown
    assert "[x>=1]" in shown
    assert "\\[" not in shown
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("fedstudy ")


def test_a_run_is_followed_by_lines_where_there_is_no_terminal(
    runs: Portal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedstudy_client.cli.watching._STILL_S", -1.0)
    place = {"number": 2, "length": 3, "waits_for": [{"site": "", "limit": 1, "sentence": "One run at a time."}]}
    going = {**RUN, "state": "running", "committed": 1}
    queued = {**RUN, "state": "queued", "committed": 0, "place": place}
    runs.answers[f"GET {AT}"] = [
        queued, queued, going, going, httpx.ConnectError("gone"),
        {**RUN, "state": "paused", "committed": 1}, RUN,
    ]  # fmt: skip
    runs.answers[f"GET {AT}/results"] = {**results(auc=0.8), "awaited": [{"site": "North", "until": NOW}]}
    monkeypatch.setattr("fedstudy_client.client.PAUSES", ())
    assert main(["run", "watch", RUN["id"]]) == 0
    out, err = capsys.readouterr()
    first, *between, last = err.splitlines()
    assert first == "“a” 0 of 3 rounds, queued, 2 of 3. One run at a time"
    assert between[:1] == ["“a” 1 of 3 rounds, running"]
    assert between[1].startswith("“a” 1 of 3 rounds, running, awaits North until ")
    assert between[2] == f"“a” 1 of 3 rounds, paused; it goes on with: fedstudy run resume {RUN['id']}"
    assert last == "“a” 3 of 3 rounds, completed"
    assert "auc" in out


def test_ctrl_c_ends_the_watching_and_not_the_run(runs: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    runs.answers[f"GET {AT}"] = [{**RUN, "state": "running"}, {**RUN, "state": "running"}, KeyboardInterrupt()]
    assert main(["run", "watch", RUN["id"]]) == 130
    assert f"fedstudy run watch {RUN['id']}" in capsys.readouterr().err
    assert not [what for what, _, _ in runs.came if what.startswith("POST")]


def test_a_run_that_cannot_start_stays_planned_and_says_how_to_start_it(
    runs: Portal, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.answers[f"POST {AT}/start"] = problem("E_UNSIGNED")
    assert main(["run", "start", RUN["id"]]) == 1
    assert capsys.readouterr().err == (
        f"E_UNSIGNED No. It stays planned. Start it later: fedstudy run start {RUN['id']}\n"
    )


def test_pausing_and_forking(runs: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    runs.answers |= {f"POST {AT}/pause": {**RUN, "state": "pausing"}, f"POST {AT}/fork": {**run("b"), "state": "draft"}}
    assert main(["run", "pause", RUN["id"], "--at-once"]) == 0
    assert sent(runs, f"POST {AT}/pause") == {"at_once": True}
    runs.answers[f"GET {AT}"] = {**RUN, "study": "5" * 32, "best_round": 2}
    runs.answers[f"GET studies/{'5' * 32}"] = STUDY
    assert main(["run", "fork", RUN["id"], "--set", "rate=0.3", "--label", "Slower"]) == 0
    forked = {"round": 3, "label": "Slower", "config": {"seed": 1, "rate": 0.3}}
    assert sent(runs, f"POST {AT}/fork") == forked, "what is not said stays as it was"
    assert main(["run", "fork", RUN["id"], "--round", "1", "--rounds", "5"]) == 0
    assert sent(runs, f"POST {AT}/fork") == {"round": 1, "rounds": 5}
    assert "“b” is draft" in capsys.readouterr().out


def test_rounds_as_a_table_or_as_csv(runs: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    part = {"site": "=North", "phase": "evaluate", "state": "done", "code": "", "examples": 3, "duration_ms": 5}
    told = {"number": 1, "state": "committed", "duration_ms": 9, "bytes_sent": 1, "bytes_received": 2}
    first = {**told, "metrics": {"train": {"loss": 0.5}}, "sites": [{**part, "metrics": {"auc": 0.7}}]}
    second = {**told, "number": 2, "metrics": {"evaluate": {"auc": 0.9}}, "sites": []}
    runs.answers[f"GET {AT}/rounds"] = page(first, second)
    assert main(["run", "rounds", RUN["id"]]) == 0
    assert "evaluate.auc" in capsys.readouterr().out
    assert main(["run", "rounds", RUN["id"], "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["round"], row["train.loss"], row["evaluate.auc"]) for row in rows] == [
        ("1", "0.5", ""),
        ("2", "", "0.9"),
    ]
    assert main(["run", "rounds", RUN["id"], "--csv", "--by-site"]) == 0
    (north,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (north["site"], north["auc"]) == ("'=North", "0.7")


def test_what_comes_is_written_as_a_whole_or_not_at_all(
    runs: Portal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.answers[f"GET {AT}/model"] = httpx.Response(200, content=b"tensors")
    file = tmp_path / "m.safetensors"
    assert main(["run", "model", RUN["id"], "-o", str(file), "--best"]) == 0
    assert file.read_bytes() == b"tensors"
    assert main(["run", "model", RUN["id"], "-o", str(tmp_path / "none" / "m")]) == 1
    assert capsys.readouterr().err.endswith("cannot be written: No such file or directory.\n")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_a_device_is_written_to_and_not_replaced(runs: Portal, tmp_path: Path) -> None:
    runs.answers[f"GET {AT}/model"] = httpx.Response(200, content=b"tensors")
    place, link = tmp_path / "place", tmp_path / "link"
    place.write_bytes(b"before")
    link.symlink_to(place)
    assert main(["run", "model", RUN["id"], "-o", str(link)]) == 0
    assert link.is_symlink()
    assert place.read_bytes() == b"tensors"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is one of Linux's devices")
def test_a_full_disk_is_a_problem_and_no_traceback(signed_in: Portal, capfd: pytest.CaptureFixture[str]) -> None:
    with Path("/dev/full").open("w") as full, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", full)
        assert main(["study", "list", "--json"]) == 1
    assert "E_FILE No space left on device." in capfd.readouterr().err


def test_a_token_is_shown_once_or_kept_in_a_file_of_one_s_own(
    signed_in: Portal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = {"id": "t", "name": "nightly", "scopes": ["read"], "hint": "abc", "expires_at": NOW}
    signed_in.answers |= {"POST me/tokens": {**token, "token": "shown once"}, "GET me/tokens": page(token)}
    signed_in.answers["DELETE me/tokens/t"] = httpx.Response(204)
    assert main(["token", "create", "nightly"]) == 0
    assert sent(signed_in, "POST me/tokens") == {"name": "nightly", "scopes": ["read"], "days": 30}
    assert capsys.readouterr().out == "shown once\n"
    file = tmp_path / "token"
    assert main(["token", "create", "nightly", "--scope", "read", "--scope", "run", "-o", str(file)]) == 0
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("shown once\n", 0o600)
    asked = len(signed_in.came)
    assert main(["token", "create", "nightly", "-o", str(file)]) == 1
    assert len(signed_in.came) == asked, "no token is made that has no place"
    signed_in.answers["POST me/tokens"] = problem("E_STEP_UP", 403)
    assert main(["token", "create", "nightly", "-o", str(tmp_path / "other")]) == 1
    assert not (tmp_path / "other").exists()
    assert main(["token", "revoke", "nightly"]) == 0
    assert main(["token", "revoke", "daily"]) == 1


def test_a_token_takes_the_place_of_a_password(portal: Portal, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("mine\n")
    assert main(["login", f"{URL}/api/v1/", "--token-file", str(tmp_path / "token")]) == 0
    kept = credentials.load()
    assert kept is not None
    assert (kept.url, kept.token) == (URL, "mine")
    assert [what for what, _, _ in portal.came] == ["GET me"]


def test_an_address_without_its_beginning_is_told_with_it(portal: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["login", "portal.example"]) == 2
    assert "https://portal.example" in capsys.readouterr().err


WEBHOOK = {"id": "w", "url": "https://hooks.example/", "kinds": ["run.completed"], "state": "active"}


def test_webhooks(signed_in: Portal, capsys: pytest.CaptureFixture[str]) -> None:
    delivery = {"id": "d", "message": "m", "kind": "webhook.test", "body": "{}", "state": "waiting", "tries": 0}
    signed_in.answers |= {
        "POST studies/s/webhooks": {**WEBHOOK, "secret": "whsec_x"},
        "GET studies/s/webhooks": page(WEBHOOK),
        "POST webhooks/w/test": delivery,
        "GET webhooks/w/deliveries": page({**delivery, "status": 200, "state": "delivered", "created_at": NOW}),
    }
    assert main(["webhook", "add", WEBHOOK["url"], "--kind", "run.completed"]) == 0
    assert sent(signed_in, "POST studies/s/webhooks") == {"url": WEBHOOK["url"], "kinds": ["run.completed"]}
    assert capsys.readouterr().out.endswith("whsec_x\n")
    assert main(["webhook", "list"]) == 0
    assert main(["webhook", "test", "w"]) == 0
    assert main(["webhook", "deliveries", "w"]) == 0
    assert "delivered" in capsys.readouterr().out


def test_a_message_of_a_webhook_is_verified_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, content = (
        b"0" * 24,
        b'{"type": "run.completed", "timestamp": "2026-01-31T12:00:00+00:00", "data": {"run": "r"}}',
    )
    signature = b64encode(hmac.digest(key, b"msg_1.1." + content, "sha256")).decode()
    for name, text in {
        "secret": f"whsec_{b64encode(key).decode()}\n",
        "headers": f"Host: x\nWebhook-Id: msg_1\nWebhook-Timestamp: 1\nWebhook-Signature: v1,{signature}\n",
        "body": content.decode(),
    }.items():
        (tmp_path / name).write_text(text)
    files = [f"--{option}={tmp_path / name}" for option, name in
             (("secret-file", "secret"), ("headers", "headers"), ("body", "body"))]  # fmt: skip
    assert main(["webhook", "verify", *files, "--any-time"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == {"run": "r"}
    assert main(["webhook", "verify", *files]) == 1, "it is old"
    (tmp_path / "body").write_text("{}")
    assert main(["webhook", "verify", *files, "--any-time"]) == 1
    assert "E_NOT_GENUINE" in capsys.readouterr().err


def test_a_release_is_asked_for_and_signed_for_the_only_site(
    runs: Portal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release = {
        "id": "r", "run": RUN["id"], "state": "requested", "model_sha256": "0", "model_round": 3,
        "recipient": "Registry", "purpose": "x", "card": {}, "signatures_needed": 2, "signatures": [],
    }  # fmt: skip
    role = {"role": "data_steward", "kind": "site", "id": "n", "name": "North"}
    runs.answers |= {
        f"POST {AT}/releases": release,
        f"GET {AT}/releases": page(release),
        "POST releases/r/cosign": {**release, "signatures": [{}]},
        "GET releases/r/model": httpx.Response(200, content=b"tensors"),
        "GET me": {"id": "u", "name": "Pat", "email": "p@x.example", "roles": [role]},
    }
    assert main(["release", "request", RUN["id"], "--to", "Registry", "--purpose", "x"]) == 0
    assert sent(runs, f"POST {AT}/releases") == {"recipient": "Registry", "purpose": "x"}
    assert main(["release", "list", RUN["id"]]) == 0
    assert main(["release", "cosign", "r"]) == 0
    assert sent(runs, "POST releases/r/cosign") == {"site": "n"}
    assert "1 of 2 signatures" in capsys.readouterr().out
    assert main(["release", "cosign", "r", "--site", "South"]) == 1
    assert main(["release", "model", "r", "-o", str(tmp_path / "m")]) == 0
    assert (tmp_path / "m").read_bytes() == b"tensors"


def test_any_request(signed_in: Portal, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signed_in.answers["GET studies"] = [{"results": [STUDY], "next": "2"}, page({**STUDY, "id": "t"})]
    assert main(["api", "get", "/api/v1/studies", "--all"]) == 0
    assert [study["id"] for study in json.loads(capsys.readouterr().out)] == ["s", "t"]
    signed_in.answers["POST studies/s/runs"] = {"id": "r"}
    body = tmp_path / "run.json"
    body.write_text('{"version": "v", "rounds": 1}')
    command = [
        "api",
        "POST",
        "studies/s/runs",
        "--body",
        str(body),
        "-f",
        "rounds=20",
        "-f",
        "label=Long",
        "-f",
        'x=["a"]',
    ]
    assert main(command) == 0
    assert sent(signed_in, "POST studies/s/runs") == {"version": "v", "rounds": 20, "label": "Long", "x": ["a"]}
    assert json.loads(capsys.readouterr().out) == {"id": "r"}
    signed_in.answers["DELETE studies/s"] = httpx.Response(204)
    assert main(["api", "DELETE", "studies/s"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("path", ["https://elsewhere.example/x", "//elsewhere.example/x", "../../admin", "/"])
def test_the_token_goes_nowhere_else(signed_in: Portal, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api", "GET", path]) == 1
    assert capsys.readouterr().err.startswith("E_INVALID")
    assert signed_in.came == []


@pytest.mark.parametrize("command", [["GET", "x", "--body", "y"], ["FETCH", "x"], ["GET", "x", "-f", "y"]])
def test_a_request_that_is_none(signed_in: Portal, command: list[str]) -> None:
    assert main(["api", *command]) == 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectError("refused"), "https://portal.example does not answer: refused"),
        (httpx.ProxyError("403 Forbidden"), "HTTPS_PROXY"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), "--ca"),
        (httpx.ReadTimeout(""), "does not answer through the proxy http://proxy.example"),
        (httpx.Response(403, json={"code": "E_STEP_UP", "detail": "Sign in again."}), "Say: fedstudy login"),
    ],
)
def test_why_nothing_came(
    signed_in: Portal, error: Any, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedstudy_client.transport.time.sleep", lambda _: None)
    if isinstance(error, httpx.ReadTimeout):
        monkeypatch.setenv("https_proxy", "http://user:password@proxy.example")
        monkeypatch.setenv("no_proxy", "")
    signed_in.answers["GET studies"] = error
    assert main(["study", "list"]) == 1
    assert words in capsys.readouterr().err


def test_an_address_that_is_none_and_a_token_that_is_none(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(credentials.URL, "https://portal.example:port")
    monkeypatch.setenv(credentials.TOKEN, "x")
    assert main(["whoami"]) == 1
    assert "is no address of a portal" in capsys.readouterr().err
    monkeypatch.setenv(credentials.URL, URL)
    monkeypatch.setenv(credentials.TOKEN, "zwölf")
    assert main(["whoami"]) == 1
    assert "E_AUTHENTICATION" in capsys.readouterr().err


def test_a_plan_s_check_ends_with_1_where_the_portal_has_not_what_the_file_says(
    signed_in: Portal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    role = {"role": "pi", "kind": "study", "id": STUDY["id"], "name": STUDY["title"]}
    signed_in.answers["GET me"] = {"id": "u", "name": "Pat", "email": "p@x.example", "roles": [role]}
    for part in ("enrolments", "scripts", "runs", "people", "datasets"):
        signed_in.answers[f"GET studies/s/{part}"] = page()
    file = tmp_path / "study.yaml"
    file.write_text("study: {title: Hearts, summary: ''}")
    assert main(["plan", str(file), "--check"]) == 0
    file.write_text("study: {title: Hearts, summary: New words}")
    assert main(["plan", str(file)]) == 0
    assert "summary: “” → “New words”" in capsys.readouterr().out
    assert main(["plan", str(file), "--check"]) == 1
    assert "E_DRIFT" in capsys.readouterr().err


def test_synthetic_rows_are_printed_too_and_a_table_is_no_dictionary_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dictionary = tmp_path / "d.json"
    dictionary.write_text('[{"name": "age", "type": "integer"}]')
    assert main(["mock", str(dictionary), "--rows", "2", "-o", "-"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main(["mock", str(tmp_path / "d.csv"), "--rows", "2", "-o", "-"]) == 1
    assert "fedstudy dictionary convert" in capsys.readouterr().err

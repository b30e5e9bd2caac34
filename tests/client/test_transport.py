"""The client against answers that a portal could give."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from fedstudy_client import FedStudy, FedStudyProblem
from fedstudy_client.transport import Transport

Handler = Callable[[httpx.Request], httpx.Response]
STUDY = {"id": "a", "title": "Hearts", "slug": "hearts", "state": "draft", "colour": "green"}


def portal(handler: Handler, token: str = "") -> FedStudy:
    made = FedStudy("http://portal/", token, pauses=(0.0, 0.0))
    made._http._http.close()
    made._http._http = httpx.Client(base_url="http://portal/api/v1/", transport=httpx.MockTransport(handler))
    return made


def test_a_problem_is_raised_with_its_code_and_fields() -> None:
    body = {
        "code": "E_DICTIONARY",
        "detail": "The data dictionary does not fit together.",
        "errors": [{"field": "variables.1.name", "code": "E_DICTIONARY", "detail": "Twice."}],
    }
    with portal(lambda request: httpx.Response(400, json=body)) as client, pytest.raises(FedStudyProblem) as caught:
        client.dictionary.set("a", [])
    assert (caught.value.code, caught.value.status) == ("E_DICTIONARY", 400)
    assert caught.value.errors[0].field == "variables.1.name"
    assert "Twice." in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(502, text="<h1>Bad gateway</h1>"),
        httpx.Response(500, json=["?"]),
        httpx.Response(200, text="<h1>Sign in to the hotel</h1>"),
        httpx.Response(200, json=[1]),
    ],
)
def test_an_answer_that_is_none_of_a_portal_s(answer: httpx.Response) -> None:
    with portal(lambda request: answer) as client, pytest.raises(FedStudyProblem, match="E_ANSWER"):
        client.me()


def test_no_answer() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with portal(refuse) as client, pytest.raises(FedStudyProblem, match="E_UNREACHABLE"):
        client.me()


def test_a_write_that_was_cut_off_is_sent_again_by_the_same_key() -> None:
    seen: list[tuple[str, bytes]] = []
    turns = iter(
        [
            httpx.ReadError("cut off"),
            httpx.Response(409, json={"code": "E_IDEMPOTENCY_BUSY", "detail": "Still in work."}),
            httpx.Response(201, json=STUDY),
            httpx.Response(201, json=STUDY),
        ]
    )

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.headers["idempotency-key"], request.read()))
        turn = next(turns)
        if isinstance(turn, Exception):
            raise turn
        return turn

    with portal(answer, "t") as client:
        assert client.studies.create(title="Hearts").title == "Hearts"
        client.studies.create(title="Hearts")
    assert len(set(seen[:3])) == 1
    assert seen[3][0] != seen[0][0]


def test_a_write_of_nobody_is_sent_once() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        assert "idempotency-key" not in request.headers
        raise httpx.ReadError("cut off")

    with portal(answer) as client:
        with pytest.raises(FedStudyProblem, match="E_UNREACHABLE"):
            client.login("p@x.org", "secret")
        with pytest.raises(FedStudyProblem, match="E_UNREACHABLE"):
            client.me()
    assert seen == ["POST", "GET", "GET", "GET"]


def test_what_was_refused_is_not_sent_again() -> None:
    refusals = iter([httpx.Response(409, json={"code": "E_STATE", "detail": "No."})])
    with portal(lambda request: next(refusals), "t") as client, pytest.raises(FedStudyProblem, match="E_STATE"):
        client.runs.start("r")


def test_what_has_not_changed_does_not_travel_again() -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("if-none-match"))
        same = seen[-1] == '"1"' and len(seen) < 3
        return httpx.Response(304) if same else httpx.Response(200, json=STUDY, headers={"ETag": f'"{len(seen)}"'})

    with portal(answer) as client:
        first, again, changed = (client.studies.get("a") for _ in range(3))
    assert (first.title, again.title, changed.title) == ("Hearts", "Hearts", "Hearts")
    assert (first.etag, again.etag, changed.etag) == ('"1"', '"1"', '"3"')
    assert seen == [None, '"1"', '"1"']


def test_a_write_over_what_was_read() -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("if-match"))
        return httpx.Response(200, json=STUDY, headers={"ETag": '"1"'})

    with portal(answer) as client:
        study = client.studies.get("a")
        with client.if_unchanged(study):
            client.studies.get("a")
            client.studies.update(study, title="Lungs")
            client.studies.update(study, title="Livers")
        with pytest.raises(ValueError, match="get"):
            client.if_unchanged(client.studies.update(study, title="Hearts"))
    assert seen == [None, None, '"1"', None, None]


def test_lists_are_followed_page_by_page() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        last = request.url.params.get("cursor") == "2"
        return httpx.Response(200, json={"results": [STUDY], "next": None if last else "2"})

    with portal(answer) as client:
        assert [study.title for study in client.studies.list()] == ["Hearts", "Hearts"]


def test_the_token_of_a_sign_in_goes_with_every_request() -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        body: dict[str, Any] = {"token": "t", "expiry": "2030-01-01T00:00:00Z"}
        return httpx.Response(200, json={**body, "id": "u", "name": "P", "email": "p@x.org"})

    with portal(answer) as client:
        client.login("p@x.org", "secret").me()
        client.logout()
        assert client.token == ""
    assert seen == [None, "Token t", "Token t"]


def test_a_record_keeps_what_it_does_not_know_and_reads_times() -> None:
    event = {
        "id": "e",
        "at": "2026-01-02T03:04:05Z",
        "actor": "user:1",
        "actor_label": "P",
        "action": "a:b:c",
        "object_type": "study",
        "object_id": "a",
        "outcome": "done",
        "study": "a",
    }

    def answer(request: httpx.Request) -> httpx.Response:
        is_study = request.url.path.endswith("/studies/a")
        return httpx.Response(200, json=STUDY if is_study else {"results": [event], "next": None})

    with portal(answer) as client:
        assert client.studies.get("a").raw["colour"] == "green"
        assert next(client.audit.events(study="a")).at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_run_is_followed_to_its_end() -> None:
    states = iter(["waiting", "running", "completed"])

    def answer(request: httpx.Request) -> httpx.Response:
        state = next(states)
        return httpx.Response(200, json={"id": "r", "label": "R", "state": state})

    seen: list[str] = []
    with portal(answer) as client:
        run = client.runs.wait("r", every=0, progress=lambda now: seen.append(now.state))
    assert run.state == "completed"
    assert seen == ["waiting", "running", "completed"]


def test_waiting_ends_at_its_own_deadline() -> None:
    body = {"id": "r", "label": "R", "state": "waiting"}
    answer = httpx.Response(200, json=body)
    with portal(lambda request: answer) as client, pytest.raises(FedStudyProblem, match="E_DEADLINE"):
        client.runs.wait("r", timeout=0, every=0)


def test_a_model_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert dict(request.url.params) == {"round": "3"}
        return httpx.Response(200, content=b"tensors")

    with portal(answer) as client:
        assert client.runs.model("r", round=3, into=tmp_path / "m.safetensors") == b"tensors"
    assert (tmp_path / "m.safetensors").read_bytes() == b"tensors"


def test_a_folder_is_sent_as_a_zip_without_caches(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "client_app.py").write_text("app = 1\n")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_bytes(b"x")
    seen: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.read())
        return httpx.Response(400, json={"code": "E_BUNDLE_NOT_FLOWER", "detail": "No."})

    with portal(answer) as client, pytest.raises(FedStudyProblem, match="E_BUNDLE_NOT_FLOWER"):
        client.versions.upload("s", tmp_path)
    assert b"app/client_app.py" in seen[0]
    assert b"pyc" not in seen[0]


def test_nothing_is_asked_for_where_nothing_is_given() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "http://portal/api/v1/audit/events"
        return httpx.Response(200, json={"results": [], "next": None})

    with portal(answer) as client:
        assert list(client.audit.events()) == []


def test_a_transport_closes_its_connections() -> None:
    with Transport("http://portal") as transport:
        pass
    assert transport._http.is_closed


def test_webhooks_from_registering_to_sending_again() -> None:
    hook = {"id": "w", "url": "https://hook.example.org", "kinds": ["run.failed"], "state": "active"}
    message = {"id": "d", "message": "msg_d", "kind": "run.failed", "body": "{}", "state": "failed", "tries": 9}
    asked: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/")
        asked.append((request.method, path))
        if request.method == "DELETE":
            return httpx.Response(204)
        row = message if "deliveries" in path or path.endswith("/test") else {**hook, "secret": "whsec_x"}
        is_list = request.method == "GET" and path != "webhooks/w"
        return httpx.Response(200, json={"results": [row], "next": None} if is_list else row)

    with portal(answer) as client:
        made = client.webhooks.register("s", hook["url"], kinds=hook["kinds"])
        assert made.secret == "whsec_x"
        assert "whsec_x" not in repr(made)
        client.webhooks.update(made, kinds=["run.stopped"])
        assert client.webhooks.list("s") == [client.webhooks.get(made)]
        client.webhooks.disable(made)
        client.webhooks.enable(made)
        client.webhooks.rotate(made)
        assert client.webhooks.test(made).message == "msg_d"
        client.webhooks.repeat(client.webhooks.deliveries(made)[0])
        client.webhooks.remove(made)
    assert asked == [
        ("POST", "studies/s/webhooks"), ("PATCH", "webhooks/w"), ("GET", "studies/s/webhooks"), ("GET", "webhooks/w"),
        ("POST", "webhooks/w/disable"), ("POST", "webhooks/w/enable"), ("POST", "webhooks/w/rotate"),
        ("POST", "webhooks/w/test"), ("GET", "webhooks/w/deliveries"), ("POST", "webhook-deliveries/d/repeat"),
        ("DELETE", "webhooks/w"),
    ]  # fmt: skip

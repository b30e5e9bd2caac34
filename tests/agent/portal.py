"""A small portal for the tests of the console: checks signatures as the real one does, remembers what it was told."""

import base64
import json
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import BaseModel

from fedstudy_core import bundle as bundles
from fedstudy_core import signed_request, wire
from fedstudy_core.errors import FedStudyError
from fedstudy_core.keys import six_words
from fedstudy_core.rotation import Rotation
from tests.factories.agent import STUDY

NODE, SITE, VERSION = (str(uuid.UUID(int=number)) for number in (500, 600, 700))
DATASET, APPROVAL = (str(uuid.UUID(int=number)) for number in (800, 900))
TOKEN = "a-token-of-twenty-characters"
VARIABLES = [
    {"name": "age", "type": "integer", "min": 18, "max": 110},
    {"name": "sex", "type": "categorical", "codes": [{"value": 0}, {"value": 1}]},
]


TAKES: dict[tuple[str, str], tuple[type[BaseModel], int, Any]] = {
    ("POST", "datasets"): (wire.DatasetRequest, 201, {"id": DATASET}),
    ("PUT", "approvers"): (wire.ApproversRequest, 204, None),
    ("POST", "approvals"): (wire.ApprovalRequest, 201, {"id": APPROVAL, "state": "valid"}),
    ("POST", f"approvals/{APPROVAL}/revoke"): (wire.RevocationRequest, 204, None),
}


class FakePortal:
    """What the portal knows and was told."""

    def __init__(self, fab: bytes) -> None:
        self.fab = fab
        self.listed_sha256 = bundles.inspect(fab).sha256
        self.enrolment: wire.EnrolRequest | None = None
        self.sequence = 0
        self.refuse_sequences = 0
        self.told: list[tuple[str, Any]] = []
        self.words: str | None = None
        self.state = "active"
        self.lists: Any = None
        self.level = "F2"

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
        """Answer a request: status and body."""
        route = path.removeprefix("/api/v1/node/")
        if route == "enrol":
            return self._enrol(json.loads(body))
        if self.enrolment is None:
            return problem(401, "E_SIGNATURE", "Nobody is enrolled.")
        try:
            sequence = signed_request.verify(
                headers,
                public_key=self.enrolment.identity_key,
                method=method,
                path=path,
                body=body,
                now=datetime.now(UTC),
            )
        except FedStudyError as error:
            return problem(error.status, error.code, error.detail)
        if sequence <= self.sequence or self.refuse_sequences:
            self.refuse_sequences = max(self.refuse_sequences - 1, 0)
            return problem(409, "E_SEQ", "This request was seen before.")
        self.sequence = sequence
        return self._signed(method, route, json.loads(body) if body else None)

    def _enrol(self, body: dict[str, Any]) -> tuple[int, Any]:
        request = wire.EnrolRequest.model_validate(body)
        if request.token != TOKEN:
            return problem(403, "E_TOKEN", "The token is wrong.")
        self.enrolment = request
        words = self.words or six_words(request.identity_key, request.flower_key, request.approval_key)
        superlink = {"address": "127.0.0.1:1", "ca_pem": ""}
        return 200, {"node": NODE, "site": {"id": SITE, "name": "Cleveland"}, "superlink": superlink, "words": words}

    def _signed(self, method: str, route: str, body: Any) -> tuple[int, Any]:
        self.told.append((route, body))
        if (method, route) in TAKES:
            model, status, answer = TAKES[method, route]
            model.model_validate(body)
            return status, answer
        match method, route:
            case "GET", "self":
                return 200, self._itself()
            case "POST", "rotate":
                return self._rotate(wire.RotateRequest.model_validate(body))
            case "POST", "heartbeat":
                wire.HeartbeatRequest.model_validate(body)
                return 200, {"server_time": "", "node_state": self.state, "flower_node_id": None}
            case "GET", "studies":
                return 200, [study()]
            case "GET", "scripts":
                return 200, [self._offer()] if self.lists is None else self.lists
            case "GET", _ if route == f"scripts/{VERSION}/bundle":
                return 200, self.fab
        return problem(404, "E_NOT_FOUND", "There is no such thing.")

    def _itself(self) -> dict[str, Any]:
        assert self.enrolment is not None
        keys = self.enrolment
        words = six_words(keys.identity_key, keys.flower_key, keys.approval_key)
        facts = {"node": NODE, "node_state": self.state, "identity_key": keys.identity_key, "words": words}
        return wire.NodeSelf.model_validate(facts).model_dump()

    def _rotate(self, request: wire.RotateRequest) -> tuple[int, Any]:
        assert self.enrolment is not None
        rotation = Rotation(NODE, self.enrolment.identity_key, request.identity_key, request.flower_key)
        rotation.check(identity_proof=request.identity_proof, flower_proof=request.flower_proof)
        if self.state == "frozen" and request.token != TOKEN:
            return problem(403, "E_NODE", "This node is frozen.")
        self.enrolment = self.enrolment.model_copy(update=request.model_dump(include={"identity_key", "flower_key"}))
        return 200, self._itself()

    def _offer(self) -> dict[str, Any]:
        offer = {
            "version": VERSION,
            "study": STUDY,
            "study_title": "Hearts",
            "level": self.level,
            "script": "numbers",
            "number": 1,
            "sha256": self.listed_sha256,
            "size": len(self.fab),
            "submitted_at": "2026-01-01T00:00:00Z",
            "parameters": [],
            "declaration": {},
            "approval": None,
        }
        return wire.ScriptOffer.model_validate(offer).model_dump()

    def last(self, route: str) -> Any:
        """The body of the last request to a route."""
        return next(body for told, body in reversed(self.told) if told == route)

    def envelope(self) -> bytes:
        """The last approval that was handed in."""
        return base64.b64decode(self.last("approvals")["envelope"])


def study() -> dict[str, Any]:
    dictionary = {"id": "d", "version": 1, "sha256": "0" * 64, "variables": VARIABLES}
    facts = {
        "id": STUDY,
        "title": "Hearts",
        "enrolment": "e",
        "level": "F2",
        "state": "accepted",
        "dictionary": dictionary,
    }
    return wire.StudyRef.model_validate(facts).model_dump()


def problem(status: int, code: str, detail: str) -> tuple[int, Any]:
    return status, {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code}


class Server(ThreadingHTTPServer):
    """A server that says nothing of clients that hang up: a slow machine's do, in the middle of a console's JSON."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of what is wrong here, on the test's standard error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serve(portal: FakePortal) -> Iterator[str]:
    """Serve a portal on a free port; give its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = portal.answer(self.command, self.path, self.headers, body)
            content = answer if isinstance(answer, bytes) else b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _do

        def log_message(self, format: str, *args: object) -> None:
            return

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

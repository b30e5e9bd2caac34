"""A small portal for the tests of pooling: it carries what sites and the pool node hand in, and can lie about it."""

import base64
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fedstudy_core import signed_request, wire
from fedstudy_core.freight import OFFSET
from fedstudy_core.pooling.consent import Consent
from fedstudy_core.pooling.documents import document_id, read_unverified
from fedstudy_core.pooling.statements import ObjectManifest, PoolDeletion, PoolRevocation
from fedstudy_core.wire_pool import PooledObject, PoolKeyRequest, PoolKeyWanted, PoolOffer
from tests.factories.agent import STUDY
from tests.factories.consents import VARIABLES

NODE_API = "/api/v1/node/"


@dataclass
class Stored:
    """An object as the portal has it."""

    id: str
    site_node: str
    manifest: ObjectManifest
    envelope: str
    content: bytes = b""
    state: str = "announced"
    revocation: str = ""
    delete: bool = False


@dataclass
class PoolPortal:
    """What the portal was told. `lies` replaces what it lists of every object."""

    nodes: dict[str, str] = field(default_factory=dict)  # identity key by node
    sites: dict[str, str] = field(default_factory=dict)  # by node
    pool_node: str = ""
    wanted: list[tuple[str, str]] = field(default_factory=list)
    keys: dict[tuple[str, str], PoolKeyRequest] = field(default_factory=dict)
    approvers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    consents: dict[str, str] = field(default_factory=dict)
    objects: dict[str, Stored] = field(default_factory=dict)
    deletions: list[PoolDeletion] = field(default_factory=list)
    datasets: list[dict[str, Any]] = field(default_factory=list)
    lies: dict[str, Any] = field(default_factory=dict)
    break_after: int | None = None  # bytes of the next upload after which the connection ends
    taken: list[int] = field(default_factory=list)  # the sizes of bodies that came

    def answer(self, method: str, path: str, node: str, body: bytes, headers: Any) -> tuple[int, Any, dict[str, str]]:
        """Answer a request that a node signed."""
        route = path.removeprefix(NODE_API)
        if route.endswith("/content"):
            return self._content(method, route.split("/")[2], body, headers)
        status, answer = self._told(method, route, node, json.loads(body) if body else {})
        return status, answer, {}

    def _told(self, method: str, route: str, node: str, body: dict[str, Any]) -> tuple[int, Any]:
        if method == "GET":
            return self._asked(route, node)
        envelope = body.get("envelope", "")
        match method, route:
            case "POST", "datasets":
                self.datasets.append(body)
                return 201, {"id": str(uuid.uuid4())}
            case "PUT", "approvers":
                self.approvers[node] = body["approvers"]
            case "POST", "pool/keys":
                key = PoolKeyRequest.model_validate(body)
                self.keys[key.study, key.site] = key
            case "POST", "pool/consents":
                self.consents[document_id(base64.b64decode(envelope))] = envelope
            case "POST", "pool/revocations":
                self._revoke(envelope)
            case "POST", "pool/deletions":
                self.deletions.append(read_unverified(PoolDeletion, base64.b64decode(envelope)))
            case "POST", "pool/objects":
                return self._announce(node, body["manifest"])
        return 204, None

    def _asked(self, route: str, node: str) -> tuple[int, Any]:
        match route.split("/"):
            case ["studies"]:
                return 200, [_study()]
            case ["pool", "keys"]:
                pairs = [pair for pair in self.wanted if pair not in self.keys]
                return 200, [PoolKeyWanted(study=a, site=b, site_name="A site").model_dump() for a, b in pairs]
            case ["pool", "offer", study]:
                return self._offer(study, self.sites[node])
            case ["pool", "objects"]:
                return 200, [self._row(item) for item in self.objects.values() if item.state in ("complete", "revoked")]
        return 404, {"code": "E_NOT_FOUND", "detail": route}

    def _offer(self, study: str, site: str) -> tuple[int, Any]:
        if not self.pool_node:
            return 404, {"code": "E_NO_POOL", "detail": "The study has no pool node."}
        key = self.keys.get((study, site))
        offer = PoolOffer(
            node=self.pool_node,
            node_key=self.nodes[self.pool_node],
            site=str(uuid.UUID(int=299)),
            site_name="Coordinating centre",
            recipient=key.recipient if key else "",
            envelope=key.envelope if key else "",
            columns=VARIABLES,
        )
        return 200, offer.model_dump()

    def _announce(self, node: str, envelope: str) -> tuple[int, Any]:
        manifest = read_unverified(ObjectManifest, base64.b64decode(envelope))
        if manifest.consent not in self.consents:
            return 403, {"code": "E_NO_CONSENT", "detail": "There is no consent."}
        known = next((item for item in self.objects.values() if item.envelope == envelope), None)
        item = known or Stored(str(uuid.uuid4()), node, manifest, envelope)
        self.objects[item.id] = item
        return 201, {"object": item.id, "upload": f"{NODE_API}pool/objects/{item.id}/content"}

    def _revoke(self, envelope: str) -> None:
        revocation = read_unverified(PoolRevocation, base64.b64decode(envelope))
        for item in self.objects.values():
            if item.manifest.consent == revocation.consent:
                item.state, item.revocation, item.delete = "revoked", envelope, revocation.delete

    def _row(self, item: Stored) -> dict[str, Any]:
        consent = self.consents[item.manifest.consent]
        row = PooledObject(
            object=item.id,
            study=item.manifest.study,
            site=item.manifest.site,
            site_name="A site",
            state=item.state,
            sha256=item.manifest.sha256,
            size=item.manifest.size,
            manifest=item.envelope,
            consent=consent,
            revocation=item.revocation,
            delete=item.delete,
            node_key=self.nodes[item.site_node],
            approvers=self.approvers.get(item.site_node, []),
        )
        return row.model_dump() | self.lies

    def _content(self, method: str, name: str, body: bytes, headers: Any) -> tuple[int, Any, dict[str, str]]:
        item = self.objects[name]
        if method == "GET":
            return 200, item.content, {}
        if method in ("PUT", "PATCH"):
            self.taken.append(len(body))
            offset = int(headers.get(OFFSET, "0"))
            if method == "PATCH" and offset != len(item.content):
                return 409, {"code": "E_OFFSET", "detail": ""}, {}
            item.content = (item.content if method == "PATCH" else b"") + body
            if len(item.content) == item.manifest.size:
                if sha256(item.content).hexdigest() != item.manifest.sha256:
                    return 422, {"code": "E_DIGEST", "detail": ""}, {}
                item.state = "complete"
        return 204, None, {OFFSET: str(len(item.content))}

    def consent(self) -> Consent:
        """The last consent that was handed in."""
        return read_unverified(Consent, base64.b64decode(list(self.consents.values())[-1]))


def _study() -> dict[str, Any]:
    dictionary = {"id": "d", "version": 1, "sha256": "0" * 64, "variables": VARIABLES}
    facts = {"id": STUDY, "title": "Hearts", "enrolment": "e", "level": "F2", "state": "active"}
    return wire.StudyRef.model_validate({**facts, "dictionary": dictionary}).model_dump()


@contextmanager
def serve(portal: PoolPortal) -> Iterator[str]:
    """Serve a portal on a free port; give its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in one piece

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if portal.break_after is not None and self.command in ("PUT", "PATCH"):
                part = self.rfile.read(min(portal.break_after, length))
                portal.break_after = None
                portal.answer(self.command, self.path, "", part, self.headers)
                self.close_connection = True
                return
            body = self.rfile.read(length)
            node = str(self.headers.get(signed_request.NODE, ""))
            status, answer, more = portal.answer(self.command, self.path, node, body, self.headers)
            content = answer if isinstance(answer, bytes) else b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {**more, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_HEAD = _do

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

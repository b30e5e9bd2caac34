"""The node's requests to the portal. All but enrolment are signed by the node's identity key."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core import signed_request
from fedstudy_node import __version__
from fedstudy_node.bulk import BulkTransport
from fedstudy_node.errors import NodeError
from fedstudy_node.ledger import Ledger

PREFIX = "/api/v1/node/"
TIMEOUT = 30.0
EVENTS_SILENCE = 45.0
_TRIES_WITH_NEW_SEQUENCE = 3


def check_address(url: str) -> str:
    """Return a portal's address without its trailing slash; only this machine is spoken to without TLS."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url.rstrip("/")
    if parts.scheme == "http" and parts.hostname and _is_this_machine(parts.hostname):
        return url.rstrip("/")
    raise NodeError("E_PORTAL", f"{url!r} is not an https address.")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def open_client(url: str, ca: Path | None) -> httpx.Client:
    """Return an HTTP client for the portal that trusts the given authority (or the system's)."""
    return _client(url, _trust(ca), None)


def open_bulk_client(url: str, ca: Path | None) -> httpx.Client:
    """Return a client as `open_client` does, for large bodies: behind a proxy an ordinary one."""
    trust = _trust(ca)
    return _client(url, trust, None if _is_behind_proxy(url) else BulkTransport(trust, TIMEOUT))


def _trust(ca: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca) if ca else None)


def _is_behind_proxy(url: str) -> bool:
    """Whether the environment names a proxy for this address."""
    parts, proxies = urlsplit(url), getproxies()
    return bool({parts.scheme, "all"} & set(proxies)) and not proxy_bypass(parts.hostname or "")


def _client(url: str, trust: ssl.SSLContext, transport: httpx.BaseTransport | None) -> httpx.Client:
    return httpx.Client(
        base_url=check_address(url),
        verify=trust,
        transport=transport,
        timeout=TIMEOUT,
        follow_redirects=False,
        headers={"User-Agent": f"fedstudy-node/{__version__}", "Accept": "application/json"},
    )


def _refused(response: httpx.Response) -> NodeError:
    """Turn problem details (RFC 9457) into an error with the portal's own code."""
    try:
        problem = response.json()
        code, detail = str(problem["code"]), str(problem.get("detail") or problem.get("title") or "")
    except (ValueError, KeyError, TypeError):
        return NodeError("E_PORTAL", f"The portal answered with HTTP status {response.status_code}.")
    listed = "; ".join(f"{item.get('field', '')}: {item.get('detail', '')}" for item in problem.get("errors") or ())
    sentence = f"{detail} ({listed})" if listed else detail
    return PortalRefusal(code, sentence)


class PortalRefusal(NodeError):
    """The portal understood the request and said no; `code` is the portal's."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__("E_PORTAL", f"The portal refused: {code}: {detail}")
        self.portal_code = code


class PortalUnreachable(NodeError):
    """The portal cannot be reached, or does not answer in time."""


def _send(client: httpx.Client, request: httpx.Request) -> httpx.Response:
    try:
        response = client.send(request)
    except httpx.HTTPError as error:
        raise PortalUnreachable("E_PORTAL", f"The portal cannot be reached: {error}.") from error
    if not response.is_success:
        raise _refused(response)
    return response


def _object(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise NodeError("E_PORTAL", "The portal's answer is not JSON.") from error


def _mapping(response: httpx.Response) -> dict[str, Any]:
    answer = _object(response)
    if not isinstance(answer, dict):
        raise _strange()
    return answer


def _id(response: httpx.Response) -> str:
    """Return what the portal calls the thing that it was just told of."""
    named = _mapping(response).get("id")
    if not isinstance(named, str):
        raise _strange()
    return named


def _strange() -> NodeError:
    return NodeError("E_PORTAL", "The portal's answer has another form than it promises.")


def enrol(client: httpx.Client, body: Mapping[str, Any]) -> dict[str, Any]:
    """Introduce a node by its one-time token; return what the portal says about node, site and SuperLink."""
    answer = _mapping(_send(client, client.build_request("POST", f"{PREFIX}enrol", json=dict(body))))
    return answer


class Portal:
    """Signed requests of one enrolled node. One for a thread."""

    def __init__(self, client: httpx.Client, *, node: str, identity: Ed25519PrivateKey, ledger: Ledger) -> None:
        self._client = client
        self._node = node
        self._identity = identity
        self._ledger = ledger

    def heartbeat(self, words: Mapping[str, Any]) -> dict[str, Any]:
        """Say that the node is alive and how it is doing; return the portal's view of the node."""
        body = {"agent_version": __version__, "clock": datetime.now(UTC).isoformat(), **words}
        return _mapping(self._request("POST", "heartbeat", body))

    def itself(self) -> dict[str, Any]:
        """Return what the portal holds of this node: state, identity key, six words."""
        return _mapping(self._request("GET", "self"))

    @contextmanager
    def events(self) -> Iterator[Iterator[str]]:
        """Open the connection on which the portal says that messages wait; gives its lines as they come.

        Raises NodeError when the portal refuses, or is silent for longer than it ever is.
        """
        request = self._signed("GET", f"{PREFIX}events", b"")
        request.extensions["timeout"] = httpx.Timeout(TIMEOUT, read=EVENTS_SILENCE).as_dict()
        try:
            response = self._client.send(request, stream=True)
            with closing(response):
                if not response.is_success:
                    response.read()
                    raise _refused(response)
                yield response.iter_lines()
        except httpx.HTTPError as error:
            raise PortalUnreachable("E_PORTAL", f"The portal's events have ended: {type(error).__name__}.") from error

    def rotate(self, body: Mapping[str, str]) -> dict[str, Any]:
        """Hand in new keys, signed by the old one and proved by the new ones; return what the portal holds then."""
        return _mapping(self._request("POST", "rotate", dict(body)))

    def studies(self) -> list[dict[str, Any]]:
        """Return the studies that the site takes part in, each with its data dictionary."""
        return _list(self._request("GET", "studies"))

    def scripts(self) -> list[dict[str, Any]]:
        """Return the script versions of those studies."""
        return _list(self._request("GET", "scripts"))

    def bundle(self, version: str) -> bytes:
        """Return the bytes of a script version."""
        return self._request("GET", f"scripts/{version}/bundle").content

    def add_dataset(self, body: Mapping[str, Any]) -> str:
        """Tell the portal of a dataset (never its rows); return the portal's id for it."""
        return _id(self._request("POST", "datasets", dict(body)))

    def tell_approvers(self, approvers: list[dict[str, Any]]) -> None:
        """Say who may sign for the site at this node (public keys, names and roles)."""
        self._request("PUT", "approvers", {"approvers": approvers})

    def add_approval(self, *, version: str, dataset: str, envelope: str) -> str:
        """Hand in a signed statement (base64); return the portal's id for it."""
        body = {"version": version, "dataset": dataset, "envelope": envelope}
        return _id(self._request("POST", "approvals", body))

    def revoke_approval(self, approval: str, envelope: str) -> None:
        """Tell the portal that a statement was revoked here."""
        self._request("POST", f"approvals/{approval}/revoke", {"envelope": envelope})

    def pool_offer(self, study: str) -> dict[str, Any]:
        """Return where the site's pooled rows of a study would go (`wire_pool.PoolOffer`)."""
        return _mapping(self._request("GET", f"pool/offer/{study}"))

    def add_pool_consent(self, envelope: str) -> None:
        """Hand in a signed consent (base64)."""
        self._request("POST", "pool/consents", {"envelope": envelope})

    def revoke_pool_consent(self, envelope: str) -> None:
        """Hand in a signed revocation of a consent (base64)."""
        self._request("POST", "pool/revocations", {"envelope": envelope})

    def announce_pooled_object(self, manifest: str) -> dict[str, Any]:
        """Announce a sealed object by its signed manifest (base64); return its id, and where its bytes go."""
        return _mapping(self._request("POST", "pool/objects", {"manifest": manifest}))

    def wanted_pool_keys(self) -> list[dict[str, Any]]:
        """Return the studies and sites for which this node, as their pool node, is to make a key."""
        return _list(self._request("GET", "pool/keys"))

    def add_pool_key(self, body: Mapping[str, str]) -> None:
        """Say which key this node made for a study and a site."""
        self._request("POST", "pool/keys", dict(body))

    def pooled_objects(self) -> list[dict[str, Any]]:
        """Return the sealed objects that this node, as their pool node, may open, or shall use no more."""
        return _list(self._request("GET", "pool/objects"))

    def tell_pool_deletion(self, envelope: str) -> None:
        """Hand in the signed statement (base64) that a site's pooled rows were destroyed."""
        self._request("POST", "pool/deletions", {"envelope": envelope})

    def log(self, seen: int) -> dict[str, Any]:
        """Return the log's newest checkpoint, with the proof that it begins with the size seen before (0 for none)."""
        return _mapping(self._request("GET", f"log?seen={seen}"))

    def add_cosignature(self, *, key: str, size: int, cosignature: str) -> None:
        """Hand in a cosignature of a checkpoint."""
        self._request("POST", "log/cosignatures", {"key": key, "size": size, "cosignature": cosignature})

    def tell_log_refusal(self, *, code: str, seen: str, offered: str) -> None:
        """Say why a checkpoint was not cosigned, with the two that contradict each other."""
        self._request("POST", "log/refusals", {"code": code, "seen": seen, "offered": offered})

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """Sign and send; when another process of this node was a moment quicker, with a new number again."""
        content = b"" if body is None else json.dumps(body).encode()
        for attempt in range(_TRIES_WITH_NEW_SEQUENCE):
            try:
                return _send(self._client, self._signed(method, PREFIX + path, content))
            except PortalRefusal as refusal:
                if refusal.portal_code != "E_SEQ" or attempt == _TRIES_WITH_NEW_SEQUENCE - 1:
                    raise
        raise NodeError("E_PORTAL", "The portal did not take the request.")

    def _signed(self, method: str, path: str, content: bytes) -> httpx.Request:
        request = self._client.build_request(method, path, content=content)
        headers = signed_request.sign(
            self._identity,
            node=self._node,
            method=method,
            path=request.url.raw_path.decode("ascii"),
            body=content,
            now=datetime.now(UTC),
            sequence=self._ledger.next_moment("request"),
        )
        request.headers.update(headers)
        if content:
            request.headers["Content-Type"] = "application/json"
        return request


def _list(response: httpx.Response) -> list[dict[str, Any]]:
    """Return the rows of a list answer, bare or in a page."""
    answer = _object(response)
    rows = answer.get("results") if isinstance(answer, dict) else answer
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _strange()
    return rows

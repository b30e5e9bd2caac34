"""A small OpenID Connect provider on loopback: authorization code with PKCE, signed ID tokens, user info."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

CLIENT, SECRET = "fedstudy", "a secret of the tests"
WELL_KNOWN = "/.well-known/openid-configuration"
Claims = dict[str, Any]


@dataclass
class Provider:
    """The provider, and who is signed in there.

    Attributes:
        person: claims of whoever is signed in; `sub` names them.
        token: claims of ID tokens that are other than they should be; None leaves one out.
        key: that signs ID tokens; `published` is the one that everybody is told of.
    """

    port: int = 0
    person: Claims = field(default_factory=lambda: {"sub": "s-1"})
    userinfo: Claims = field(default_factory=dict)
    token: Claims = field(default_factory=dict)
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    codes: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.published = self.key.public_key()

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def configuration(self) -> Claims:
        """What is found at the well-known address."""
        names = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/keys",
            **{f"{name}_endpoint": f"{self.issuer}/{path}" for name, path in names.items()},
        }

    def keys(self) -> Claims:
        """The public key as a JWK."""
        found = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.published))
        return {"keys": [{**found, "kid": "one", "alg": "ES256", "use": "sig"}]}

    def authorize(self, asked: Mapping[str, str]) -> str:
        """Where the browser is sent, with a code that is good once."""
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.codes[code] = dict(asked)
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def exchange(self, sent: Mapping[str, str]) -> Claims | None:
        """Tokens for a code; None for one that is not the client's, is used up, or without its verifier."""
        asked = self.codes.pop(sent.get("code", ""), None)
        digest = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != sent["redirect_uri"]:
            return None
        if (sent.get("client_id"), sent.get("client_secret")) != (CLIENT, SECRET):
            return None
        return {"access_token": "access", "token_type": "Bearer", "id_token": self.id_token(asked.get("nonce", ""))}

    def id_token(self, nonce: str) -> str:
        """A signed ID token of the person."""
        now = int(time.time())
        proper = {"iss": self.issuer, "aud": CLIENT, "exp": now + 60, "iat": now, "nonce": nonce, **self.person}
        claims = {name: value for name, value in {**proper, **self.token}.items() if value is not None}
        return jwt.encode(claims, self.key, algorithm="ES256", headers={"kid": "one"})

    def told(self) -> Claims:
        """User info."""
        return {**self.person, **self.userinfo}


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            answers = {WELL_KNOWN: provider.configuration, "/keys": provider.keys, "/userinfo": provider.told}
            if parts.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", provider.authorize(_flat(parts.query)))
                self.end_headers()
                return
            self._json(200, answers[parts.path]())

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            found = provider.exchange(_flat(self.rfile.read(length).decode()))
            self._json(200, found) if found else self._json(400, {"error": "invalid_grant"})

        def _json(self, status: int, body: Claims) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _flat(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}


@contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider that answers until the end of the block."""
    provider = Provider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(provider))
    provider.port = server.server_port
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

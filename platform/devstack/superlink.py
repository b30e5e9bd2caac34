"""Flower's SuperLink as FedStudy runs it: TLS, authenticated nodes, runs no app, tells nobody outside."""

import secrets
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from devstack import certificates
from devstack.certificates import Certificates
from devstack.ports import free_port
from devstack.processes import Child, Command, Supervisor

QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}


@dataclass(frozen=True)
class SuperLink:
    """A SuperLink that was started: its address, its certificates, and the secret that its driver needs."""

    address: str
    certificates: Certificates
    secret_file: Path
    child: Child

    @property
    def environment(self) -> dict[str, str]:
        """The portal's settings that say how to reach it."""
        return {
            "FEDSTUDY_SUPERLINK_ADDRESS": self.address,
            "FEDSTUDY_SUPERLINK_INTERNAL": self.address,
            "FEDSTUDY_SUPERLINK_CA": str(self.certificates.authority),
            "FEDSTUDY_SUPEREXEC_SECRET_FILE": str(self.secret_file),
        }


def launch(supervisor: Supervisor, state: Path, log: Path, environment: Mapping[str, str]) -> SuperLink:
    """Start a SuperLink on a free port of loopback; it keeps its state in memory. Does not wait for it."""
    state.mkdir(parents=True, exist_ok=True)
    files = certificates.make(state / "tls")
    secret_file = state / "superexec.secret"
    secret_file.touch(mode=0o600)
    secret_file.write_text(secrets.token_urlsafe(48))
    port = free_port()
    words = [
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--ssl-certfile", str(files.certificate), "--ssl-keyfile", str(files.key)),
        *("--ssl-ca-certfile", str(files.authority)),
        *("--enable-supernode-auth", "--isolation", "process", "--disable-runtime-dependency-installation"),
        *("--superexec-auth-secret-file", str(secret_file)),
    ]
    trust = ssl.create_default_context(cafile=str(files.authority))
    child = supervisor.launch(
        Command(
            name="SuperLink",
            argv=[sys.executable, "-m", "fedstudy_core.superlink", *words],
            log=log,
            env={**environment, **QUIET, "FLWR_HOME": str(state / "flower")},
            cwd=state,
            ready=lambda: _answers(port, trust),
        )
    )
    return SuperLink(f"127.0.0.1:{port}", files, secret_file, child)


def _answers(port: int, trust: ssl.SSLContext) -> bool:
    try:
        answer = httpx.get(f"https://127.0.0.1:{port}/openapi.json", verify=trust, timeout=2, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.is_success

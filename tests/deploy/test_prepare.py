"""deploy/prepare.sh makes every secret that Compose names, and certificates that a strict client takes."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.deploy.description import ROOT, read_compose, settle

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def prepare(folder: Path) -> str:
    script = ROOT / "deploy/prepare.sh"
    done = subprocess.run(
        ["/bin/sh", str(script), "portal.test", "fleet.test", str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("prepare") / "secrets"
    prepare(made)
    return made


def shake_hands(folder: Path, certificate: str, host: str) -> None:
    """A TLS 1.3 handshake in memory by a client that knows only the authority. Raises ssl.SSLError."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}.key")
    client = ssl.create_default_context(cafile=str(folder / "fleet-ca.pem"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    client.minimum_version = ssl.TLSVersion.TLSv1_3
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=host), server.wrap_bio(up, down, server_side=True)]
    for _ in range(4):
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue
    assert not ends


def test_every_secret_that_compose_names_is_made(folder: Path) -> None:
    secrets = read_compose(ROOT / "docker-compose.yml")["secrets"]
    for secret in secrets.values():
        path = Path(settle(secret["file"], {"FEDSTUDY_SECRETS_DIR": str(folder)}))
        assert path.stat().st_size > 0


def test_the_folder_is_closed_and_every_password_its_own(folder: Path) -> None:
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "fleet-ca.key").stat().st_mode & 0o077 == 0
    passwords = ("admin-password", "owner-password", "password", "log-password")
    names = ["secret-key", *(f"database-{name}" for name in passwords), "broker-password", "superexec-secret"]
    contents = {(folder / name).read_text() for name in names}
    assert len(contents) == len(names)
    assert all(len(text) == 64 and text.isalnum() for text in contents)


@pytest.mark.parametrize(
    ("certificate", "host"), [("superlink", "superlink"), ("fleet", "fleet.test"), ("portal", "portal.test")]
)
def test_certificates_hold_before_a_strict_client(folder: Path, certificate: str, host: str) -> None:
    shake_hands(folder, certificate, host)
    with pytest.raises(ssl.SSLError):
        shake_hands(folder, certificate, "elsewhere.test")


def test_a_second_time_nothing_changes(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    prepare(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_certificate_is_renewed_with_the_authoritys_key_only(tmp_path: Path) -> None:
    made = tmp_path / "secrets"
    prepare(made)
    key = (made / "fleet-ca.key").rename(tmp_path / "fleet-ca.key")
    (made / "fleet.pem").unlink()
    with pytest.raises(subprocess.CalledProcessError) as refused:
        prepare(made)
    assert "put fleet-ca.key back" in refused.value.stderr
    key.rename(made / "fleet-ca.key")
    prepare(made)
    shake_hands(made, "fleet", "fleet.test")


def test_names_are_asked_for() -> None:
    done = subprocess.run(["/bin/sh", str(ROOT / "deploy/prepare.sh")], capture_output=True, text=True, check=False)
    assert done.returncode == 64
    assert "PORTAL_HOST" in done.stderr

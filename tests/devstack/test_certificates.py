"""The SuperLink's throwaway certificate, as a TLS client sees it."""

import socket
import ssl
import threading
from pathlib import Path

import pytest

from devstack import certificates


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_client_that_trusts_the_authority_accepts_the_server(tmp_path: Path, name: str) -> None:
    files = certificates.make(tmp_path / "tls")
    _handshake(files, name, ssl.create_default_context(cafile=str(files.authority)))


def test_another_name_and_another_authority_are_refused(tmp_path: Path) -> None:
    files, other = certificates.make(tmp_path / "tls"), certificates.make(tmp_path / "other")
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(files, "example.org", ssl.create_default_context(cafile=str(files.authority)))
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(files, "localhost", ssl.create_default_context(cafile=str(other.authority)))


def test_the_key_is_private(tmp_path: Path) -> None:
    files = certificates.make(tmp_path / "tls")
    assert files.key.stat().st_mode & 0o777 == 0o600
    assert files.key.parent.stat().st_mode & 0o777 == 0o700


def _handshake(files: certificates.Certificates, name: str, client: ssl.SSLContext) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)
    here, there = socket.socketpair()

    def serve() -> None:
        # The client may break off the handshake: that is what some tests are about.
        try:
            with server.wrap_socket(there, server_side=True):
                pass
        except OSError:
            there.close()

    serving = threading.Thread(target=serve)
    serving.start()
    try:
        client.wrap_socket(here, server_hostname=name).close()
    finally:
        here.close()
        serving.join()

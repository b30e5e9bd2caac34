"""Where the node's page is: the host that passkeys are bound to, the port, and the certificate."""

import re
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from fedstudy_node.errors import NodeError
from fedstudy_node.home import Settings

THIS_MACHINE = "localhost"
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)*{_LABEL}")


@dataclass(frozen=True)
class PageAddress:
    """A page's address. A passkey's relying party is exactly `host`.

    Attributes:
        listen: the address of this machine on which the page is served.
        certificate, key: PEM files; None for plain http, which only this machine may use.
    """

    host: str
    port: int
    listen: str
    certificate: Path | None = None
    key: Path | None = None

    @property
    def secure(self) -> bool:
        """Whether it is served by https."""
        return self.certificate is not None

    @property
    def authority(self) -> str:
        """Host and port as a browser's Host header gives them."""
        return self.host if self.port == (443 if self.secure else 80) else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        """The page's origin, as browsers write it."""
        return f"{'https' if self.secure else 'http'}://{self.authority}"

    @property
    def cookie(self) -> str:
        """The session cookie's name. Cookies of a host reach all its ports, so nodes on one machine differ by name."""
        return "__Host-fedstudy-node" if self.secure else f"fedstudy-node-{self.port}"

    def tls(self) -> ssl.SSLContext:
        """What serves https. Raises NodeError (E_INVALID) when certificate and key do not fit together."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(str(self.certificate), str(self.key))
        except OSError as error:  # ssl.SSLError is one
            raise NodeError("E_INVALID", f"The page's certificate and key cannot be used: {error}.") from error
        return context


def page_address(settings: Settings) -> PageAddress | None:
    """Return the address that the settings give, None where the page is off (port 0).

    Raises:
        NodeError: E_INVALID when passkeys could not work there, or not safely.
    """
    if settings.page_port == 0:
        return None
    host = settings.page_host
    if not 1 <= settings.page_port <= 65535:
        raise NodeError("E_INVALID", f"{settings.page_port} is not a port.")
    _check_host(host)
    _check_apart(host, settings.portal)
    if bool(settings.page_cert) != bool(settings.page_key):
        raise NodeError("E_INVALID", "A certificate needs its key, and a key its certificate.")
    if not settings.page_cert and host != THIS_MACHINE:
        raise NodeError(
            "E_INVALID", f"Browsers offer passkeys on {host} by https only: give the page a certificate and its key."
        )
    return PageAddress(
        host=host,
        port=settings.page_port,
        listen=settings.page_listen or ("127.0.0.1" if host == THIS_MACHINE else "0.0.0.0"),  # noqa: S104
        certificate=Path(settings.page_cert) if settings.page_cert else None,
        key=Path(settings.page_key) if settings.page_key else None,
    )


def _check_host(host: str) -> None:
    """Raises NodeError (E_INVALID): browsers bind passkeys to host names, never to addresses."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        numbers_only = host.rpartition(".")[2].isdigit()
    else:
        numbers_only = True
    if numbers_only:
        raise NodeError("E_INVALID", f"{host} is an IP address; browsers bind passkeys to host names only.")
    if not _HOST.fullmatch(host):
        raise NodeError("E_INVALID", f"{host!r} is not a host name in lower-case letters, digits and hyphens.")


def _check_apart(host: str, portal: str) -> None:
    """Raises NodeError (E_INVALID) when the portal's own pages could ask for passkeys of the node's host."""
    theirs = urlsplit(portal).hostname or ""
    if theirs == host or theirs.endswith(f".{host}"):
        raise NodeError("E_INVALID", f"The portal is at {theirs}: give the node's page a host of its own.")

"""Sending one message outside, and only outside.

A name is resolved here and every address of it looked at before any is spoken to; the connection goes to that very
address, so that a second look-up cannot lead elsewhere. Nothing is followed, and of the answer only the status is read.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from threading import Timer
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from fedstudy_core.errors import FieldProblem, Invalid

LONGEST_S = 10.0
LONGEST_URL = 500
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# All of IPv6 that is given out; what is left of it has been site-local, or stands for IPv4.
GIVEN_OUT = ipaddress.ip_network("2000::/3")
# Given out, but they stand for addresses inside: tunnelled IPv4.
LEADING_IN = [ipaddress.ip_network(net) for net in ("2002::/16", "2001::/32")]


class NotSent(Exception):
    """A message did not arrive; the words are for people, and say nothing of what stands behind an address."""


def check_url(url: str) -> None:
    """Refuse what can be no receiver. Raises Invalid (E_WEBHOOK)."""
    try:
        parts = urlsplit(url)
        fits = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, fits = SplitResult("", "", "", "", ""), False
    allowed = ("https", "http") if settings.FEDSTUDY_WEBHOOK_NETWORKS else ("https",)
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= LONGEST_URL
    if not (fits and plain) or parts.scheme not in allowed or "@" in parts.netloc or parts.fragment:
        words = "An address that begins with https://, without a user name and without #."
        raise Invalid("E_WEBHOOK", errors=[FieldProblem("url", "E_WEBHOOK", words)])


def send(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The HTTP status that a receiver answers with, within ten seconds.

    Raises:
        NotSent: it cannot be reached, may not be, or does not answer.
    """
    parts = urlsplit(url)
    is_safe, host = parts.scheme == "https", str(parts.hostname)
    address = allowed_address(host, parts.port or (443 if is_safe else 80), is_safe=is_safe)
    connection = _Connection(host, address, is_safe=is_safe)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    over = Timer(LONGEST_S, connection.cut)
    over.start()
    try:
        connection.request("POST", target, body, {"Host": parts.netloc, **headers})
        return connection.getresponse().status
    except ssl.SSLCertVerificationError as error:
        raise NotSent(f"Its certificate is not trusted: {error.verify_message}") from error
    except (OSError, http.client.HTTPException) as error:
        raise NotSent("It does not answer, or not in time.") from error
    finally:
        over.cancel()
        connection.close()


def allowed_address(host: str, port: int, *, is_safe: bool) -> tuple[str, int]:
    """Where to connect to: the first address of a name, if none of them leads inside.

    Raises:
        NotSent: there is none; one leads inside; or the way there is not encrypted.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotSent("There is no such host.") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    inside = [address for address in addresses if not _is_outside(address)]
    if not all(_is_named(address) for address in inside):
        raise NotSent("This address lies inside: the portal sends nothing there.")
    if not is_safe and (not addresses or len(inside) < len(addresses)):
        raise NotSent("Outside, only https:// is taken.")
    return str(addresses[0]), port


def _is_outside(address: Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return _is_outside(mapped)
    if address.version == 6 and (address not in GIVEN_OUT or any(address in network for network in LEADING_IN)):
        return False
    return address.is_global and not address.is_multicast


def _is_named(address: Address) -> bool:
    """Whether the operator allows this address by name of its network."""
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in settings.FEDSTUDY_WEBHOOK_NETWORKS)


class _Connection(http.client.HTTPConnection):
    """A connection to one address, for one host; TLS is the host's."""

    def __init__(self, host: str, address: tuple[str, int], *, is_safe: bool) -> None:
        super().__init__(host, address[1], timeout=LONGEST_S)
        self._address, self._is_safe = address, is_safe

    def connect(self) -> None:
        """Connect to the address that was looked at."""
        self.sock = socket.create_connection(self._address, timeout=LONGEST_S)
        if self._is_safe:
            tls = ssl.create_default_context()
            self.sock = tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock.do_handshake()

    def cut(self) -> None:
        """End what takes too long, wherever it is."""
        if self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

"""Ways out of the machine, and to its other services."""

import socket
import struct
from typing import Any

from fedstudy_core.sandbox.system import Probe, Targets


def _connect(family: int, address: Any) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(1)
        one.connect(address)


def tcp(targets: Targets) -> None:
    """Connect to a service of this machine."""
    _connect(socket.AF_INET, ("127.0.0.1", targets["tcp"]))


def udp(targets: Targets) -> None:
    """Send a datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"row", ("127.0.0.1", targets["udp"]))


def dns(targets: Targets) -> None:
    """Ask a name server, with data in the name, and get an answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(1)
        question = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\x03row\x07example\x00\x00\x01\x00\x01"
        one.sendto(question, ("127.0.0.1", targets["udp"]))
        one.recvfrom(512)


def unix_socket(targets: Targets) -> None:
    """Connect to a service of this machine by its socket's path."""
    _connect(socket.AF_UNIX, targets["unix"])


def abstract_socket(targets: Targets) -> None:
    """Connect to a service of this machine by an abstract name."""
    _connect(socket.AF_UNIX, "\0" + targets["abstract"])


def netlink(targets: Targets) -> None:
    """Talk to the kernel's network tables."""
    socket.socket(16, socket.SOCK_RAW, 0).close()


def packet(targets: Targets) -> None:
    """Listen to the network's raw packets."""
    socket.socket(17, socket.SOCK_RAW, 3).close()


ALL: tuple[Probe, ...] = (tcp, udp, dns, unix_socket, abstract_socket, netlink, packet)

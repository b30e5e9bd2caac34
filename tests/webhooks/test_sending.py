"""Messages go outside and nowhere else, and take no longer than they may."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from ipaddress import ip_network

import pytest
from pytest_django.fixtures import Settings

from fedstudy_core.errors import Invalid
from tests.webhooks.receiver import Receiver, receiving
from webhooks import sending
from webhooks.sending import NotSent, allowed_address, check_url, send

HEADERS = {"Content-Type": "application/json"}
INSIDE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:0:7f00:1::", "198.18.0.1",
    "fec0::1", "::10.0.0.1", "::7f00:1", "4000::1",
]  # fmt: skip


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.FEDSTUDY_WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]
    with receiving() as made:
        yield made


def resolved(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]
    monkeypatch.setattr(sending.socket, "getaddrinfo", lambda *args, **kwargs: found)


@pytest.mark.parametrize("address", INSIDE)
def test_nothing_goes_inside(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved(monkeypatch, address)
    with pytest.raises(NotSent, match="inside"):
        allowed_address("hook.example.org", 443, is_safe=True)
    # one address of a name that leads inside is enough
    resolved(monkeypatch, "93.184.215.14", address)
    with pytest.raises(NotSent, match="inside"):
        allowed_address("hook.example.org", 443, is_safe=True)


def test_outside_goes_by_tls_to_the_address_that_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("2606:2800:21f:cb07::1", "93.184.215.14"):
        resolved(monkeypatch, address)
        assert allowed_address("hook.example.org", 443, is_safe=True) == (address, 443)
    with pytest.raises(NotSent, match="https"):
        allowed_address("hook.example.org", 80, is_safe=False)


def test_what_an_operator_allows_and_nothing_beside_it(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    settings.FEDSTUDY_WEBHOOK_NETWORKS = [ip_network("10.1.0.0/16")]
    for address in ("10.1.2.3", "::ffff:a01:203"):
        resolved(monkeypatch, address)
        assert allowed_address("hook.internal", 80, is_safe=False) == (address, 80)
    resolved(monkeypatch, "10.2.0.1")
    with pytest.raises(NotSent, match="inside"):
        allowed_address("hook.internal", 443, is_safe=True)
    resolved(monkeypatch, "10.1.2.3", "93.184.215.14")
    with pytest.raises(NotSent, match="https"):
        allowed_address("hook.internal", 80, is_safe=False)


def test_a_name_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(sending.socket, "getaddrinfo", unknown)
    with pytest.raises(NotSent, match="no such host"):
        allowed_address("hook.example.org", 443, is_safe=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://hook.example.org/x", "ftp://hook.example.org", "https://", "https://me@hook.example.org/",
        "https://hook.example.org/#x", "https://hook.example.org:x/", "https://hook.example.org/ x", "//hook", "",
        "https://hook.example.org/\r\nX: y", f"https://hook.example.org/{'x' * 500}", "https://[::1", "https://é.org",
    ],
)  # fmt: skip
def test_an_address_that_can_be_no_receiver(url: str) -> None:
    with pytest.raises(Invalid, match="E_WEBHOOK"):
        check_url(url)
    check_url("https://hook.example.org:8443/x?y=1")


def test_a_message_arrives(receiver: Receiver) -> None:
    assert send(f"{receiver.url}/in?x=1", b'{"a": 1}', {**HEADERS, "webhook-id": "msg_1"}) == 204
    ((path, headers, body),) = receiver.seen
    assert (path, body, headers["webhook-id"], headers["Host"]) == (
        "/in?x=1", b'{"a": 1}', "msg_1", receiver.url.removeprefix("http://"),
    )  # fmt: skip


def test_nothing_is_followed(receiver: Receiver) -> None:
    receiver.statuses = [302]
    assert send(f"{receiver.url}/in", b"{}", HEADERS) == 302
    assert len(receiver.seen) == 1


def test_who_answers_drop_by_drop_is_cut_off(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "LONGEST_S", 0.3)
    receiver.drips, begun = True, time.monotonic()
    with pytest.raises(NotSent, match="not in time"):
        send(f"{receiver.url}/in", b"{}", HEADERS)
    assert time.monotonic() - begun < 5


def test_nobody_listens(receiver: Receiver) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(NotSent, match="does not answer"):
            send(f"http://127.0.0.1:{taken.getsockname()[1]}/", b"{}", HEADERS)


def test_a_receiver_without_tls_is_no_receiver_for_https(receiver: Receiver) -> None:
    with pytest.raises(NotSent):
        send(receiver.url.replace("http://", "https://"), b"{}", HEADERS)
    assert receiver.seen == []

"""Where the page may be, the thread that serves it, and how the console says so."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from html import unescape
from pathlib import Path

import httpx
import pytest

from devstack.certificates import make
from devstack.ports import free_port
from fedstudy_core.errors import FedStudyError
from fedstudy_node.cli import main
from fedstudy_node.control import Control
from fedstudy_node.home import Home, Settings, now_text
from fedstudy_node.page.address import page_address
from fedstudy_node.page.server import PageServer
from fedstudy_node.status import Status, read_status
from fedstudy_node.witness import Memory, Refused, Witness
from tests.agent.page.conftest import Meet
from tests.factories.agent import PASSPHRASE, Node

SETTINGS = Settings(name="node", created_at="", portal="https://portal.example", page_port=8601)


def test_the_address_is_the_origin_that_browsers_see() -> None:
    here = page_address(SETTINGS)
    assert here is not None
    assert (here.origin, here.authority, here.listen, here.secure) == (
        "http://localhost:8601",
        "localhost:8601",
        "127.0.0.1",
        False,
    )
    there = page_address(replace(SETTINGS, page_host="fednode.lan", page_port=443, page_cert="c", page_key="k"))
    assert there is not None
    assert (there.origin, there.authority, there.secure) == ("https://fednode.lan", "fednode.lan", True)
    assert page_address(replace(SETTINGS, page_port=0)) is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"page_host": "127.0.0.1"}, "IP address"),
        ({"page_host": "10.1.2.3", "page_cert": "c", "page_key": "k"}, "IP address"),
        ({"page_host": "[::1]"}, "IP address"),
        ({"page_host": "10.1"}, "IP address"),
        ({"page_host": "fednode"}, "https only"),
        ({"page_host": "Node.lan", "page_cert": "c", "page_key": "k"}, "lower-case"),
        ({"page_host": "node lan", "page_cert": "c", "page_key": "k"}, "lower-case"),
        ({"page_host": "", "page_cert": "c", "page_key": "k"}, "lower-case"),
        ({"page_host": "node.lan", "page_cert": "c"}, "its key"),
        ({"page_host": "portal.example", "page_cert": "c", "page_key": "k"}, "of its own"),
        ({"page_host": "example", "page_cert": "c", "page_key": "k"}, "of its own"),
        ({"portal": "http://localhost:8000"}, "of its own"),
        ({"page_port": 70000}, "not a port"),
        ({"page_port": -1}, "not a port"),
    ],
)
def test_places_where_passkeys_fail_or_are_not_safe_are_refused(changed: dict, words: str) -> None:
    with pytest.raises(FedStudyError, match=words):
        page_address(replace(SETTINGS, **changed))


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < until, "this did not come true in time"
        time.sleep(0.01)


@contextmanager
def serving(home: Home, **changed: object) -> Iterator[Status]:
    """A page that is served, or noted as not served."""
    home.save(replace(home.settings(), **changed))
    status, served = Status(home.status_path), threading.Event()
    server = PageServer(home, Control(home), status, hurry=lambda: None, served=served.set)
    server.start()
    try:
        wait_for(lambda: served.is_set() or status.get("page_error") or not server.is_alive())
        yield status
    finally:
        server.close()
        assert not server.is_alive()


def test_the_page_is_served_beside_the_agent_until_it_stops(node: Node) -> None:
    port = free_port()
    with serving(node.home, page_port=port) as status:
        assert status.get("page") == f"http://localhost:{port}"
        answer = httpx.get(f"http://localhost:{port}/sign-in", trust_env=False)
        assert answer.status_code == 200
        assert "server" not in answer.headers
        assert httpx.get(f"http://127.0.0.1:{port}/sign-in", trust_env=False).status_code == 421
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://localhost:{port}/sign-in", trust_env=False)


def test_the_page_has_a_certificate_of_its_own(node: Node, tmp_path: Path) -> None:
    files, port = make(tmp_path / "tls"), free_port()
    with serving(node.home, page_port=port, page_cert=str(files.certificate), page_key=str(files.key)) as status:
        assert status.get("page") == f"https://localhost:{port}"
        trust = ssl.create_default_context(cafile=str(files.authority))
        answer = httpx.get(f"https://localhost:{port}/sign-in", verify=trust, trust_env=False)
        assert answer.status_code == 200
        assert answer.headers["set-cookie"].startswith("__Host-")


def test_a_page_that_cannot_be_served_is_noted_and_stops_nothing(node: Node) -> None:
    port = free_port()
    with serving(node.home, page_port=port), serving(node.home, page_port=port) as second:
        assert second.get("page") == ""
        assert "in use" in str(second.get("page_error"))
    with serving(node.home, page_host="127.0.0.1") as refused:
        assert "IP address" in str(refused.get("page_error"))


def test_no_page_is_served_where_none_is_wanted(node: Node) -> None:
    with serving(node.home, page_port=0):
        assert read_status(node.home.status_path)["page"] == ""


def console(capsys: pytest.CaptureFixture[str], home: Path, *words: str) -> tuple[int, dict]:
    status = main([*words, "--home", str(home), "--json"])
    said = capsys.readouterr()
    return status, json.loads(said.out or said.err)


def test_the_console_says_and_changes_where_the_page_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, passphrase = tmp_path / "home", tmp_path / "passphrase"
    passphrase.write_bytes(PASSPHRASE)
    console(capsys, home, "init", "--name", "node", "--passphrase-file", str(passphrase))
    assert console(capsys, home, "page", "show")[1] == {
        "address": "http://localhost:8601",
        "served": False,
        "problem": "",
    }
    status, said = console(capsys, home, "page", "set", "--host", "10.0.0.5")
    assert (status, said["code"]) == (1, "E_INVALID")
    files = make(tmp_path / "tls")
    tls = ("--cert", str(files.certificate), "--key", str(files.key))
    assert console(capsys, home, "page", "set", "--host", "fednode.lan", "--port", "8443", *tls) == (
        0,
        {"address": "https://fednode.lan:8443"},
    )
    status, said = console(capsys, home, "page", "set", "--key", str(files.authority))
    assert (status, said["code"]) == (1, "E_INVALID")
    assert Home.open(home).settings().page_key == str(files.key)
    assert console(capsys, home, "page", "set", "--port", "0") == (0, {"address": ""})
    assert console(capsys, home, "page", "show")[1]["address"] == ""


def test_a_port_that_is_none_makes_no_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_bytes(PASSPHRASE)
    words = ("init", "--name", "node", "--passphrase-file", str(passphrase), "--page-port", "99999")
    assert console(capsys, tmp_path / "home", *words)[1]["code"] == "E_INVALID"
    assert not (tmp_path / "home").exists()


def test_a_log_that_this_node_refuses_is_told_on_the_first_page(meet: Meet, node: Node) -> None:
    ada, witness = meet("Ada Lovelace"), Witness(node.home)
    assert "does not cosign" not in ada.read("/")
    refused = Refused("E_LOG_FORK", "The log is another one.", at=now_text(), offered="", evidence="")
    witness._save(Memory(key="portal.example/audit+00000000+AQ==", refused=refused))
    assert "does not cosign the portal's log: The log is another one. (E_LOG_FORK)" in unescape(ada.read("/"))

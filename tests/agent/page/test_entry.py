"""Coming in: the one-time code, registering, signing in, and who is kept out."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.page import sessions
from fedstudy_node.page.front import Front
from fedstudy_node.trust import CODE_TRIES, Trust
from tests.agent.page.conftest import VERSION, Meet
from tests.factories.agent import Node
from tests.factories.passkeys import KINDS, Kind, SoftPasskey


def test_the_first_visit_says_what_to_type_on_the_console(meet: Meet) -> None:
    page = meet().read("/sign-in")
    assert "fedstudy-node trust invite" in page
    assert "Sign in with a passkey" not in page


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("synced", [False, True])
def test_a_code_from_the_console_pins_a_passkey(meet: Meet, node: Node, kind: Kind, synced: bool) -> None:
    ada = meet("Ada Lovelace", "data steward", SoftPasskey(kind, synced=synced))
    entry = Trust(node.home).find("Ada Lovelace")
    assert (entry.kind, entry.role, entry.synced) == ("passkey", "data steward", synced)
    assert (entry.rp_id, entry.origin) == ("localhost", "http://localhost:8601")
    assert entry == ada.passkey.entry("Ada Lovelace", "data steward").model_copy(update={"added_at": entry.added_at})
    assert "Ada Lovelace" in ada.read("/people")
    ada.client.cookies.clear()
    assert ada.get("/").status_code == 303
    assert ada.sign_in().json() == {"go": "/"}
    assert "Ada Lovelace, data steward" in ada.read("/")


def test_a_code_is_good_for_one_passkey(meet: Meet, node: Node) -> None:
    code = Trust(node.home).invite(name="Ada Lovelace", role="site admin")
    assert meet().register(code).status_code == 200
    again = meet().register(code)
    assert (again.status_code, again.json()["code"]) == (409, "E_TOKEN")


def test_two_people_cannot_use_one_code_at_the_same_time(meet: Meet, node: Node) -> None:
    """Both typed it before either made a passkey: the second one is too late."""
    code = Trust(node.home).invite(name="Ada Lovelace", role="site admin")
    first, second = meet(), meet()
    offered = [visitor.send("/register/options", {"code": code}).json()["options"] for visitor in (first, second)]
    assert first.send("/register", first.passkey.created(offered[0])).status_code == 200
    assert second.send("/register", second.passkey.created(offered[1])).json()["code"] == "E_TOKEN"


def test_five_wrong_tries_use_a_code_up(meet: Meet, node: Node) -> None:
    code = Trust(node.home).invite(name="Ada Lovelace", role="site admin")
    thief = meet()
    for _ in range(CODE_TRIES):
        assert thief.send("/register/options", {"code": "AAAA-AAAA-AAAA"}).json()["code"] == "E_TOKEN"
    assert meet().register(code).json()["code"] == "E_TOKEN"
    with_journal = Ledger(node.home.ledger_path)
    assert [entry.kind for entry in with_journal.journal.entries(6)] == ["code_refused"] * 6
    with_journal.close()


def test_a_code_is_good_for_ten_minutes(meet: Meet, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    code = Trust(node.home).invite(name="Ada Lovelace", role="site admin")
    later = datetime.now(UTC) + timedelta(minutes=10, seconds=1)

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return later

    monkeypatch.setattr("fedstudy_node.trust.datetime", Later)
    assert meet().register(code).json()["code"] == "E_TOKEN"


@pytest.mark.parametrize(
    ("client", "lies"),
    [
        ({"origin": "http://localhost:8000"}, {}),
        ({"type": "webauthn.get"}, {}),
        ({"challenge": "AAAA"}, {}),
        ({"crossOrigin": True}, {}),
        ({"topOrigin": "http://portal.example"}, {}),
        ({}, {"rp_id": "portal.example"}),
        ({}, {"flags": 0x01}),
        ({}, {"flags": 0x04}),
    ],
)
def test_a_passkey_made_otherwise_is_not_pinned(meet: Meet, node: Node, client: dict, lies: dict) -> None:
    visitor = meet()
    code = Trust(node.home).invite(name="Ada Lovelace", role="site admin")
    options = visitor.send("/register/options", {"code": code}).json()["options"]
    answer = visitor.send("/register", visitor.passkey.created(options, client=client, **lies))
    assert answer.json()["code"] == "E_INVALID"
    assert all(entry.kind == "console" for entry in Trust(node.home).all())
    assert meet().register(code).status_code == 200, "an honest try may follow"


def test_registering_twice_needs_a_fresh_challenge(meet: Meet, node: Node) -> None:
    visitor = meet()
    code = Trust(node.home).invite(name="Ada Lovelace", role="site admin")
    options = visitor.send("/register/options", {"code": code}).json()["options"]
    visitor.send("/register", {"id": "x"})
    assert visitor.send("/register", visitor.passkey.created(options)).json()["code"] == "E_AUTHENTICATION"


def test_an_assertion_signs_in_once(meet: Meet) -> None:
    ada = meet("Ada Lovelace")
    ada.client.cookies.clear()
    answer = ada.passkey.sign_challenge(ada.challenge())
    assert ada.send("/sign-in", answer).status_code == 200
    ada.client.cookies.clear()
    assert ada.send("/sign-in", answer).json()["code"] == "E_AUTHENTICATION"
    ada.challenge()
    assert ada.send("/sign-in", answer).json()["code"] == "E_WA_CHALLENGE"


@pytest.mark.parametrize(
    ("lies", "code"),
    [
        ({"client": {"origin": "http://localhost:8000"}}, "E_WA_ORIGIN"),
        ({"rp_id": "portal.example"}, "E_WA_RPID"),
        ({"flags": 0x01}, "E_WA_UV"),
    ],
)
def test_nobody_signs_in_by_an_assertion_from_elsewhere(meet: Meet, lies: dict, code: str) -> None:
    ada = meet("Ada Lovelace")
    ada.client.cookies.clear()
    assert ada.sign_in(**lies).json()["code"] == code
    assert ada.get("/").status_code == 303


def test_a_counter_that_goes_back_is_refused(meet: Meet) -> None:
    ada = meet("Ada Lovelace")
    ada.passkey.count = 7
    assert ada.sign_in().status_code == 200
    for count in (8, 7, 0):
        ada.client.cookies.clear()
        assert ada.sign_in(count=count).json()["code"] == "E_WA_COUNTER"
    ada.client.cookies.clear()
    assert ada.sign_in(count=9).status_code == 200


def test_a_stranger_with_a_passkey_of_their_own_is_not_known(meet: Meet) -> None:
    meet("Ada Lovelace")
    assert meet().sign_in().json()["code"] == "E_AUTHENTICATION"


def test_a_passkey_of_somebody_elses_key_under_a_known_name_is_refused(meet: Meet) -> None:
    ada = meet("Ada Lovelace")
    thief = meet(passkey=SoftPasskey(credential=ada.passkey.credential))
    assert thief.sign_in().json()["code"] == "E_SIG"


def test_the_deep_link_comes_back_after_signing_in(meet: Meet) -> None:
    ada = meet("Ada Lovelace")
    ada.client.cookies.clear()
    to_sign_in = ada.get(f"/review/{VERSION}").headers["location"]
    assert to_sign_in == f"/sign-in?next=%2Freview%2F{VERSION}"
    found = re.search(r'data-next="([^"]+)"', ada.read(to_sign_in))
    assert found is not None
    answer = ada.send("/sign-in", {**ada.passkey.sign_challenge(ada.challenge()), "next": found[1]})
    assert answer.json() == {"go": f"/review/{VERSION}"}


@pytest.mark.parametrize("elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil", "evil"])
def test_nobody_is_led_elsewhere(meet: Meet, elsewhere: str) -> None:
    ada = meet("Ada Lovelace")
    ada.client.cookies.clear()
    answer = ada.send("/sign-in", {**ada.passkey.sign_challenge(ada.challenge()), "next": elsewhere})
    assert answer.json() == {"go": "/"}


def test_who_comes_from_the_portal_keeps_their_session(meet: Meet) -> None:
    """A strict cookie stays away on the way from another site, so the page leads to itself without setting one."""
    stranger = meet()
    answer = stranger.get(f"/review/{VERSION}", **{"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert f'content="2;url=/review/{VERSION}"' in answer.text
    assert "set-cookie" not in answer.headers


def test_a_session_ends_after_fifteen_silent_minutes(meet: Meet, front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = meet("Ada Lovelace")
    now = [front.sessions._now()]
    monkeypatch.setattr(front.sessions, "_now", lambda: now[0])
    now[0] += sessions.IDLE - 1
    ada.read("/")
    now[0] += sessions.IDLE - 1
    ada.read("/")
    now[0] += sessions.IDLE + 1
    assert ada.get("/").headers["location"].startswith("/sign-in")


def test_signing_in_makes_a_new_session(meet: Meet) -> None:
    """Whoever planted a session before gains nothing."""
    ada = meet("Ada Lovelace")
    ada.client.cookies.clear()
    ada.read("/sign-in")
    before = dict(ada.client.cookies)
    ada.sign_in()
    after = dict(ada.client.cookies)
    assert before.keys() == after.keys()
    assert before != after
    ada.client.cookies.clear()
    for name, value in before.items():
        ada.client.cookies.set(name, value)
    assert ada.get("/").status_code == 303


def test_signing_out_ends_the_session(meet: Meet) -> None:
    ada = meet("Ada Lovelace")
    kept = dict(ada.client.cookies)
    assert ada.submit("/sign-out").status_code == 303
    ada.client.cookies.clear()
    for name, value in kept.items():
        ada.client.cookies.set(name, value)
    assert ada.get("/").status_code == 303


def test_trust_that_ends_ends_the_session(meet: Meet, node: Node) -> None:
    ada = meet("Ada Lovelace")
    trust = Trust(node.home)
    trust.remove(trust.find("Ada Lovelace"))
    assert ada.get("/").headers["location"].startswith("/sign-in")


def test_sessions_of_strangers_make_room_first(front: Front) -> None:
    signed_in = front.sessions.begin("somebody")
    for _ in range(sessions.MOST_SESSIONS + 5):
        front.sessions.begin()
    assert front.sessions.find(signed_in.id) is signed_in


def test_a_passkey_of_another_page_does_not_count_here(meet: Meet, node: Node) -> None:
    """Four nodes on one machine share a host; each takes the passkeys of its own page only."""
    elsewhere = SoftPasskey(origin="http://localhost:8602")
    Trust(Home(node.home.path)).add(elsewhere.entry("Ada Lovelace"))
    visitor = meet(passkey=elsewhere)
    assert visitor.sign_in().json()["code"] == "E_AUTHENTICATION"

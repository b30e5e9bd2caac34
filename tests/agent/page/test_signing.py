"""From an offer to a statement that counts, signed on the page with a passkey."""

import hashlib
import json
import re
import threading
from base64 import b64encode
from html import unescape

import pytest

from fedstudy_core import dsse, policy, revocation
from fedstudy_core.dsse import unverified_payload
from fedstudy_core.statement import verify_statement
from fedstudy_node.approvals import Approvals
from fedstudy_node.page.documents import Documents
from fedstudy_node.page.front import HERE, Front
from fedstudy_node.policies import Policies
from fedstudy_node.revoking import Revoking
from fedstudy_node.trust import Trust
from tests.agent.page.conftest import VERSION, Meet, offer
from tests.factories.agent import Node, needy, script
from tests.factories.passkeys import KINDS, Kind, SoftPasskey


@pytest.mark.parametrize("kind", KINDS)
def test_a_script_is_reviewed_and_signed_while_the_portal_is_away(
    meet: Meet, node: Node, hurried: threading.Event, kind: Kind
) -> None:
    """Read the inbox and the review, write the approval, sign it; it counts here and waits for the portal."""
    ada = meet("Ada Lovelace", passkey=SoftPasskey(kind))
    assert f"/review/{VERSION}" in ada.read("/")
    review = ada.read(f"/review/{VERSION}")
    for told in ("exactly 3 rows", "Adds a step to every number", "step", "calls"):
        assert told in review
    where = ada.write(days="30", rounds="20", min_sites="2")
    hurried.clear()
    answer = ada.sign(where)
    assert answer.status_code == 200, answer.text
    assert hurried.is_set()
    signed = Approvals(node.home).all()[0]
    assert answer.json()["go"] == f"/approvals/{signed.statement_id}"
    statement = verify_statement(signed.envelope, Trust(node.home).approvers())
    assert (statement.rounds, statement.privacy.min_sites, statement.meaning) == (20, 2, "approved")
    assert statement.approvers[0].name == "Ada Lovelace"
    outcome = ada.read(answer.json()["go"])
    assert "The portal has not been told yet" in outcome
    assert "Ada Lovelace" in outcome
    assert f'href="/review/{VERSION}"' not in ada.read("/").partition('id="untold"')[0].partition("ends soon")[0]


def test_what_is_shown_is_what_is_signed(meet: Meet, node: Node) -> None:
    ada = meet("Ada Lovelace")
    where = ada.write()
    shown = ada.shown_text(where).encode()
    assert hashlib.sha256(shown).hexdigest() == where.removeprefix("/sign/")
    ada.sign(where)
    assert unverified_payload(Approvals(node.home).all()[0].envelope) == shown
    assert json.loads(shown)["dataset"]["id"] == node.dataset.id


def test_the_words_are_for_people(meet: Meet, node: Node) -> None:
    """Whole numbers without a point, a parameter a line, and our own site and node by their names."""
    ada = meet("Ada Lovelace")
    words = unescape(ada.read(ada.write()))
    settings = node.home.settings()
    assert f"{settings.name} ({settings.node})" in words
    assert f"{settings.site_name} ({settings.site})" in words
    assert not re.search(r"(from|to) \d+\.0\b", ada.read(f"/review/{VERSION}") + words)
    assert "\nstep: a number from 0 to 10<" in words
    assert "in 90 days" in words


def test_every_cell_carries_the_name_of_its_column() -> None:
    """On a phone the heads of the columns are gone: a cell without its label would be a riddle."""
    tables = [
        (file.name, table)
        for file in sorted((HERE / "templates").glob("*.html"))
        for table in re.findall(r"<table>.*?</table>", file.read_text(), re.DOTALL)
    ]
    assert len(tables) >= 10
    for name, table in tables:
        heads = [head for head in re.findall(r'<th scope="col"[^>]*>(.*?)</th>', table) if head]
        labels = re.findall(r'<td data-label="([^"]+)"', table)
        assert len(labels) == len(heads) - 1, f"{name}: one column heads the row"
        assert set(labels) < set(heads), name


def test_the_page_of_a_fresh_approval_looks_again_until_the_portal_was_told(meet: Meet) -> None:
    ada = meet("Ada Lovelace")
    approval = ada.sign(ada.write()).json()["go"]
    assert ada.get(approval).headers["refresh"] == "1"
    assert "refresh" not in ada.get("/approvals").headers


def test_the_words_say_what_the_bytes_say(meet: Meet) -> None:
    ada = meet("Ada Lovelace")
    page = ada.read(ada.write(days="7", rounds="11", min_sites="4", wall_s="99", memory_mb="777", max_norm="5"))
    for told in ("at most 11", "at least 4", "99 seconds and 777 MiB", "norm 5 at most", "Ada Lovelace, site admin"):
        assert told in page
    assert "I have reviewed this script, and I approve" in page


def test_a_rejection_is_signed_too(meet: Meet, node: Node) -> None:
    ada = meet("Ada Lovelace")
    assert ada.sign(ada.write("rejected")).status_code == 200
    assert Approvals(node.home).all()[0].decision == "rejected"
    assert "rejected" in ada.read("/approvals")
    assert "Review numbers 1" not in ada.read("/")


def test_a_signature_is_for_one_document(meet: Meet, node: Node) -> None:
    """The assertion over one draft, sent for another one, is refused by its challenge."""
    ada = meet("Ada Lovelace")
    first, second = ada.write(), ada.write(days="180")
    to_sign = dsse.pre_authentication("application/vnd.fedstudy.approval.v1+json", ada.shown_text(first).encode())
    answer = ada.send(second, ada.passkey.answer(ada.passkey.assertion(to_sign)))
    assert answer.json()["code"] == "E_WA_CHALLENGE"
    assert Approvals(node.home).all() == []


def test_a_document_is_signed_once(meet: Meet) -> None:
    ada = meet("Ada Lovelace")
    where = ada.write()
    to_sign = dsse.pre_authentication("application/vnd.fedstudy.approval.v1+json", ada.shown_text(where).encode())
    answer = ada.passkey.answer(ada.passkey.assertion(to_sign))
    assert ada.send(where, answer).status_code == 200
    assert ada.send(where, answer).json()["code"] == "E_NOT_FOUND"


@pytest.mark.parametrize(
    ("lies", "code"),
    [
        ({"client": {"origin": "http://localhost:8000"}}, "E_WA_ORIGIN"),
        ({"client": {"type": "webauthn.create"}}, "E_WA_TYPE"),
        ({"client": {"crossOrigin": True}}, "E_WA_CROSS_ORIGIN"),
        ({"rp_id": "portal.example"}, "E_WA_RPID"),
        ({"flags": 0x01}, "E_WA_UV"),
        ({"count": 0}, "E_WA_COUNTER"),
        ({"count": 1}, "E_WA_COUNTER"),
    ],
)
def test_a_signature_that_does_not_hold_changes_nothing(meet: Meet, node: Node, lies: dict, code: str) -> None:
    ada = meet("Ada Lovelace")
    ada.client.cookies.clear()
    assert ada.sign_in().status_code == 200  # counts 1
    where = ada.write()
    answer = ada.sign(where, **lies)
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert Approvals(node.home).all() == []


def test_a_passkey_that_never_counts_may_sign_again(meet: Meet) -> None:
    ada = meet("Ada Lovelace", passkey=SoftPasskey(counts=False))
    assert ada.sign(ada.write()).status_code == 200
    assert ada.sign(ada.write(days="3")).status_code == 200


def two_people(node: Node, front: Front) -> None:
    file = node.home.datasets_path / f"{node.dataset.id}.toml"
    file.write_text(file.read_text().replace("people = 1", "people = 2"))
    assert front.datasets.all()[0].people == 2


def test_two_people_sign_one_after_the_other(meet: Meet, node: Node, front: Front) -> None:
    """The site admin signs; it waits in the steward's inbox and counts once the steward has signed the same bytes."""
    two_people(node, front)
    ada, grace = meet("Ada Lovelace"), meet("Grace Hopper", "data steward")
    alone = ada.submit(f"/review/{VERSION}", decision="approved", dataset=node.dataset.id)
    assert "E_SECOND_PERSON" in alone.text
    where = ada.write(second=grace.passkey.entry().id)
    shown = ada.shown_text(where)
    assert ada.sign(where).json()["go"] == where
    assert Approvals(node.home).all() == []
    assert "Grace Hopper" in ada.read("/").partition("Waits for somebody else")[2]
    assert ada.sign(where).json()["code"] == "E_FORBIDDEN"
    assert "Waits for your signature" in grace.read("/")
    assert grace.shown_text(where) == shown
    assert grace.sign(where).status_code == 200
    statement = verify_statement(Approvals(node.home).all()[0].envelope, Trust(node.home).approvers())
    assert [signer.name for signer in statement.approvers] == ["Ada Lovelace", "Grace Hopper"]


def test_a_policy_that_one_person_signed_outlives_the_agent(meet: Meet, node: Node, front: Front) -> None:
    """The steward signs after a restart: same bytes, same inbox, and the agent of before is not needed."""
    two_people(node, front)
    ada, grace = meet("Ada Lovelace"), meet("Grace Hopper", "data steward")
    sha256 = front.offers.rows()[0]["sha256"]
    form = {"dataset": node.dataset.id, "second": grace.passkey.entry().id, f"script-{sha256}": "yes"}
    where = ada.submit("/policies", **form).headers["location"]
    assert ada.sign(where, kind=policy.PAYLOAD_TYPE).json()["go"] == where
    shown = ada.shown_text(where)
    front.documents = Documents(front.documents.folder)
    assert "Waits for your signature" in grace.read("/")
    assert grace.shown_text(where) == shown
    assert grace.sign(where, kind=policy.PAYLOAD_TYPE).json()["go"] == "/policies"
    assert [kept.policy.scripts for kept in Policies(node.home).in_force()] == [[sha256]]
    assert list(front.documents.folder.iterdir()) == []


def test_nobody_signs_what_does_not_name_them(meet: Meet, node: Node) -> None:
    where = meet("Ada Lovelace").write()
    assert meet("Grace Hopper", "data steward").sign(where).json()["code"] == "E_FORBIDDEN"
    assert Approvals(node.home).all() == []


def test_the_stewards_floor_is_never_undercut(meet: Meet, node: Node, front: Front) -> None:
    file = node.home.datasets_path / f"{node.dataset.id}.toml"
    file.write_text(file.read_text().replace("min_rows = 1", "min_rows = 3").replace("min_sites = 1", "min_sites = 5"))
    assert front.datasets.all()[0].min_sites == 5
    ada = meet("Ada Lovelace")
    shown = json.loads(ada.shown_text(ada.write(min_sites="1", min_rows="1")))
    assert shown["privacy"] == {"min_sites": 5, "min_rows": 3}


def test_an_approval_is_taken_back_by_a_signature(meet: Meet, node: Node) -> None:
    ada = meet("Ada Lovelace")
    approval = ada.sign(ada.write()).json()["go"]
    where = ada.submit(f"{approval}/revoke", reason="a mistake").headers["location"]
    assert ada.sign(where, kind=revocation.PAYLOAD_TYPE).json()["go"] == approval
    signed = Approvals(node.home).all()[0]
    assert signed.statement_id in Approvals(node.home).revocations().statements
    assert "a mistake" in ada.read(approval)
    envelope = Revoking(node.home).envelope(signed.statement_id)
    keys = {name: person.key for name, person in Trust(node.home).signers().items()}
    assert revocation.verify_revocation(envelope, keys).reason == "a mistake"
    assert len(json.loads(envelope)["signatures"]) == 2


def test_a_policy_is_written_signed_and_taken_back(meet: Meet, node: Node, front: Front) -> None:
    ada = meet("Ada Lovelace")
    sha256 = front.offers.rows()[0]["sha256"]
    written = ada.submit("/policies", dataset=node.dataset.id, rounds="9", **{f"script-{sha256}": "yes"})
    assert ada.sign(written.headers["location"], kind=policy.PAYLOAD_TYPE).json()["go"] == "/policies"
    kept = Policies(node.home).in_force()[0]
    assert (kept.policy.scripts, kept.policy.rounds) == ([sha256], 9)
    assert sha256 in ada.read("/policies")
    where = ada.submit(f"/policies/{kept.id}/revoke", reason="").headers["location"]
    assert ada.sign(where, kind=revocation.PAYLOAD_TYPE).status_code == 200
    assert Policies(node.home).in_force() == []


def test_a_review_shows_what_changed_since_the_version_approved_here(meet: Meet, node: Node) -> None:
    ada = meet("Ada Lovelace")
    ada.sign(ada.write())
    newer = script(**{"Adds a step": "Subtracts a step"})
    offer(node.home, newer, version=VERSION.replace("2bc", "2bd"), number=2)
    review = ada.read(f"/review/{VERSION.replace('2bc', '2bd')}")
    assert 'class="minus">-&#34;&#34;&#34;Adds a step' in review
    assert 'class="plus">+&#34;&#34;&#34;Subtracts a step' in review


def test_a_review_names_the_packages_that_are_not_here(meet: Meet, node: Node) -> None:
    ada = meet("Ada Lovelace")
    assert "This node lacks" not in ada.read(f"/review/{VERSION}")
    offer(node.home, needy(), version=VERSION.replace("2bc", "2bf"), number=4)
    assert "This node lacks of-tomorrow&gt;=2.0" in ada.read(f"/review/{VERSION.replace('2bc', '2bf')}")


def test_nothing_that_a_script_or_the_portal_says_becomes_markup(meet: Meet, node: Node) -> None:
    evil = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>"
    fab = script(**{"Adds a step": f"Adds {evil}", '"a print of the script"': f'"{evil}"'})
    offer(node.home, fab, version=VERSION.replace("2bc", "2be"), number=3)
    ada = meet("Ada Lovelace")
    for path in ("/", f"/review/{VERSION.replace('2bc', '2be')}"):
        page = ada.read(path)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "<b>of</b>" not in page


def test_a_changed_dataset_is_not_signed_for(meet: Meet, node: Node) -> None:
    ada = meet("Ada Lovelace")
    with open(node.dataset.path, "a") as file:  # noqa: PTH123
        file.write("50,1\n")
    answer = ada.submit(f"/review/{VERSION}", decision="approved", dataset=node.dataset.id)
    assert "E_DATASET" in answer.text


def test_the_journal_tells_who_signed_what(meet: Meet) -> None:
    ada = meet("Ada Lovelace")
    ada.sign(ada.write())
    journal = ada.read("/journal")
    for told in ("passkey registered", "signed", "approved", "rows hold"):
        assert told in journal


def test_an_envelope_that_is_handed_in_is_the_one_that_was_shown(meet: Meet, node: Node) -> None:
    ada = meet("Ada Lovelace")
    shown = ada.shown_text(where := ada.write())
    ada.sign(where)
    assert b64encode(shown.encode()) in Approvals(node.home).all()[0].envelope

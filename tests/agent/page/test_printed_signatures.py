"""Wherever the node shows a signature, it says who made it, when, and what it means (21 CFR 11.50)."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import unescape

import pytest

from fedstudy_core import revocation
from fedstudy_core.policy import PAYLOAD_TYPE
from fedstudy_core.statement import read_unverified
from fedstudy_node.approvals import Approvals
from fedstudy_node.page.front import Front
from fedstudy_node.page.wording import moment
from fedstudy_node.policies import Policies
from tests.agent.page.conftest import VERSION, Meet
from tests.factories.agent import Node

VIEWS: dict[str, Callable[[str], str]] = {
    "the list of what was signed": lambda _: "/approvals",
    "the approval": lambda approval: approval,
    "the review of the script": lambda _: f"/review/{VERSION}",
    "the inbox, since it ends soon": lambda _: "/",
}


def told(page: str, name: str, meaning: str, at: str) -> None:
    assert name in page
    assert f"meaning: {meaning}; {at}" in unescape(page)


@pytest.mark.parametrize("view", VIEWS)
def test_an_approval_is_shown_with_name_time_and_meaning(view: str, meet: Meet, node: Node) -> None:
    ada = meet("Ada Lovelace")
    approval = ada.sign(ada.write(days="7")).json()["go"]
    statement = read_unverified(Approvals(node.home).all()[0].envelope)
    told(ada.read(VIEWS[view](approval)), "Ada Lovelace", "approved", moment(statement.issued_at))


def test_a_revocation_is_shown_with_name_time_and_reason(meet: Meet, node: Node) -> None:
    ada = meet("Ada Lovelace")
    approval = ada.sign(ada.write()).json()["go"]
    ada.sign(ada.submit(f"{approval}/revoke", reason="a mistake").headers["location"], kind=revocation.PAYLOAD_TYPE)
    ((statement, why),) = Approvals(node.home).revocations().statements.items()
    assert statement == Approvals(node.home).all()[0].statement_id
    assert f"since {moment(why['at'])} by Ada Lovelace, site admin: a mistake" in unescape(ada.read(approval))
    Approvals(node.home).revoke(statement, "")
    assert "by somebody at this node's console" in unescape(ada.read(approval))


def test_a_policy_is_shown_with_name_time_and_meaning(meet: Meet, node: Node, front: Front) -> None:
    ada = meet("Ada Lovelace")
    form = {"dataset": node.dataset.id, "rounds": "9", f"script-{front.offers.rows()[0]['sha256']}": "yes"}
    where = ada.submit("/policies", **form).headers["location"]
    assert "meaning “standing policy”" in unescape(ada.read(where))
    ada.sign(where, kind=PAYLOAD_TYPE)
    (kept,) = Policies(node.home).in_force()
    assert kept.policy.issued_at is not None
    shown = f"Ada Lovelace, site admin, meaning “standing policy”, {moment(kept.policy.issued_at)}"
    assert shown in unescape(ada.read("/policies"))


def test_the_first_of_two_signatures_is_shown_with_name_time_and_meaning(meet: Meet) -> None:
    """To who is awaited, and to who has signed."""
    ada, grace = meet("Ada Lovelace"), meet("Grace Hopper", "data steward")
    where = ada.write(second=grace.passkey.entry().id)
    assert ada.sign(where).status_code == 200
    at = moment(json.loads(ada.shown_text(where))["issued_at"])
    for reader in (ada, grace):
        told(reader.read("/"), "Ada Lovelace", "approved", at)
    told(ada.read(where), "Ada Lovelace", "approved", at)

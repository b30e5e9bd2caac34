"""The log's checkpoint and proofs by the API: what it answers, anybody can check without the portal."""

from __future__ import annotations

import base64
import json

import pytest

from audit.models import Event
from fedstudy_core.transparency import checkpoints
from fedstudy_core.transparency.leaves import BoundText
from fedstudy_core.transparency.notes import NoteKey
from fedstudy_core.transparency.tree import includes, is_consistent, leaf_hash
from tests.api.world import World
from tests.audit.logs import sequence, write_events

pytestmark = pytest.mark.django_db
LOG = "/api/v1/audit/log"


def decoded(hashes: list[str]) -> list[bytes]:
    return [base64.b64decode(text) for text in hashes]


def test_every_event_that_an_auditor_reads_is_proven(world: World) -> None:
    client = world.client("auditor")
    sequence()
    events = client.get("/api/v1/audit/events").json()["results"]
    assert len(events) > 5
    for event in events:
        told = client.get(f"/api/v1/audit/events/{event['id']}/proof").json()
        key = NoteKey.parse(told["key"])
        checkpoint, _ = checkpoints.read(told["checkpoint"].encode(), key)
        leaf = leaf_hash(told["leaf"].encode())
        assert includes(leaf, told["position"], checkpoint.size, decoded(told["hashes"]), checkpoint.root)
        body = json.loads(told["leaf"])
        assert (body["event"], body["action"], body["study"]) == (event["id"], event["action"], event["study"])
        assert body["v"] == 2
        for name in ("names", "detail", "context"):
            opened = BoundText(bytes.fromhex(told[name]["salt"]), told[name]["text"])
            assert opened.commitment == body[name]
        assert json.loads(told["detail"]["text"]) == event["detail"]
        assert json.loads(told["context"]["text"]) == event["context"]
        assert event["context"]["software"] == "0.1.0"
        assert told["file"].startswith(f"c2sp.org/tlog-proof@v1\nindex {told['position']}\n")
        assert told["file"].endswith(told["checkpoint"])


def test_the_log_shows_that_it_only_grew(world: World) -> None:
    client = world.client("pi")
    sequence()
    old = client.get(LOG).json()
    write_events(300)
    sequence()
    new = client.get(LOG).json()
    key = NoteKey.parse(old["key"])
    assert new["key"] == old["key"]
    first, second = (checkpoints.read(told["checkpoint"].encode(), key)[0] for told in (old, new))
    told = client.get(f"{LOG}/consistency", {"old": first.size, "new": second.size}).json()
    assert is_consistent(first.size, first.root, second.size, second.root, decoded(told["hashes"]))
    for query in ({"old": 0, "new": 1}, {"old": 2, "new": 1}, {"old": 1, "new": second.size + 1}, {"old": 1}):
        answer = client.get(f"{LOG}/consistency", query)
        assert (answer.status_code, answer.json()["code"]) == (400, "E_INVALID")


def test_what_has_no_place_yet_is_not_proven(world: World) -> None:
    client = world.client("pi")
    event = Event.objects.filter(study=str(world.study.pk)).latest("pk")
    for there in (LOG, f"/api/v1/audit/events/{event.event_id}/proof"):
        answer = client.get(there)
        assert (answer.status_code, answer.json()["code"]) == (409, "E_LOG_BEHIND")

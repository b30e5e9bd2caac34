"""Which keys count for a node, as the log tells it: the node's own, and those of the people who sign at it.

Each key is an event when it begins to count and another when it no longer does, so that whoever holds a part of the
log can check what was signed with it, without asking the portal.
"""

from __future__ import annotations

import json
from typing import Any

from audit.models import Event
from audit.services import record
from fedstudy_core.approvers import ApproverKey
from fedstudy_core.keys import key_id, public_from_text
from nodes.registry.models import Node

REGISTERED, WITHDRAWN = "registry:key:registered", "registry:key:withdrawn"
NODE = "node"
Facts = dict[str, Any]


def log_keys(node: Node, by: Any) -> None:
    """Bring the log up to the keys that count now; all of them at once where it has none yet."""
    logged, counting = _logged(node), {} if node.state == "revoked" else _counting(node)
    for name, facts in logged.items():
        if counting.get(name) != facts:
            _record(WITHDRAWN, node, by, {"key": name})
    for name, facts in counting.items():
        if logged.get(name) != facts:
            _record(REGISTERED, node, by, facts)


def key_events(*node_ids: str) -> list[tuple[Event, Facts]]:
    """What the log says of these nodes' keys, in its order."""
    told = Event.objects.filter(object_type="node", object_id__in=node_ids, action__in=(REGISTERED, WITHDRAWN))
    rows = told.order_by("pk")
    return [(row, json.loads(row.detail)) for row in rows]


def _logged(node: Node) -> dict[str, Facts]:
    """The keys that count by what the log says."""
    found: dict[str, Facts] = {}
    for event, facts in key_events(str(node.pk)):
        if event.action == REGISTERED:
            found[facts["key"]] = facts
        else:
            found.pop(facts["key"], None)
    return found


def _counting(node: Node) -> dict[str, Facts]:
    if not node.identity_key:
        return {}
    own = key_id(public_from_text(node.identity_key))
    people = [ApproverKey.model_validate(entry) for entry in node.approvers]
    return {own: {"key": own, "kind": NODE, "public": node.identity_key}} | {
        person.id: _facts(person) for person in people
    }


def _facts(person: ApproverKey) -> Facts:
    facts: Facts = {
        "key": person.id,
        "kind": person.kind,
        "public": person.key,
        "name": person.name,
        "role": person.role,
    }
    if person.kind == "passkey":
        facts |= {"rp_id": person.rp_id, "origin": person.origin, "synced": person.synced}
    return facts


def _record(action: str, node: Node, by: Any, facts: Facts) -> None:
    record(action=action, actor=by, obj=node, site=node.site_id, detail=facts)

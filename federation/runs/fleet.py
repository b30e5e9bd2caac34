"""Keeps the SuperLink's list of node keys as the registry has it, also after the SuperLink forgot everything."""

from __future__ import annotations

import structlog

from federation.runs.flower import SuperLink, SuperLinkError
from nodes.registry import services
from nodes.registry.models import Node

log = structlog.get_logger(__name__)

ACTOR = "system:engine"


def sync_nodes(link: SuperLink) -> str:
    """Register what is active; strike every key that is no node's any more: revoked, or replaced by its node.

    What the SuperLink knows is read first: a key that is confirmed meanwhile is then never taken for a stray one. A
    frozen node's key stays, because the SuperLink takes no key back that it once struck; nothing is sent to it.

    Returns:
        The code of why the SuperLink could not be spoken with, or nothing.
    """
    try:
        with link.control() as control:
            known = {key.strip(): node_id for key, node_id in control.nodes().items()}
            nodes = Node.objects.filter(state__in=["active", "frozen"]).exclude(flower_key="")
            wanted = {node.flower_key.strip(): node for node in nodes}
            for key, node in wanted.items():
                if node.state != "active":
                    continue
                node_id = known.get(key) or control.register_node(node.flower_key)
                if node.flower_node_id != node_id:
                    services.set_flower_node_id(node=node, flower_node_id=node_id, by=ACTOR)
            for key in known.keys() - wanted.keys():
                control.unregister_node(known[key])
    except SuperLinkError as error:
        log.warning("nodes_not_synced", code=error.code, detail=error.detail)
        return error.code
    return ""

"""Keeps the SuperLink's list of node keys as the registry has it, also after the SuperLink forgot everything."""

from __future__ import annotations

import structlog

from federation.runs.flower import SuperLink, SuperLinkError
from nodes.registry import services
from nodes.registry.models import Node

log = structlog.get_logger(__name__)

ACTOR = "system:engine"


def sync_nodes(link: SuperLink) -> None:
    """Register what is active, unregister what was revoked."""
    wanted = {node.flower_key.strip(): node for node in Node.objects.filter(state="active").exclude(flower_key="")}
    revoked = set(Node.objects.filter(state="revoked").values_list("flower_key", flat=True))
    try:
        with link.control() as control:
            known = {key.strip(): node_id for key, node_id in control.nodes().items()}
            for key, node in wanted.items():
                node_id = known.get(key) or control.register_node(node.flower_key)
                if node.flower_node_id != node_id:
                    services.set_flower_node_id(node=node, flower_node_id=node_id, by=ACTOR)
            for key in revoked:
                if key.strip() in known:
                    control.unregister_node(known[key.strip()])
    except SuperLinkError as error:
        log.warning("nodes_not_synced", code=error.code, detail=error.detail)

"""News from below that concern runs: a confirmed or revoked node changes the SuperLink's list of keys."""

from __future__ import annotations

from django.db import transaction

from nodes.registry.signals import node_confirmed, node_revoked


def _sync(**_: object) -> None:
    from federation.runs.tasks import sync_nodes

    transaction.on_commit(sync_nodes.delay)


def connect() -> None:
    node_confirmed.connect(_sync, dispatch_uid="runs.sync_confirmed_node")
    node_revoked.connect(_sync, dispatch_uid="runs.sync_revoked_node")

"""Telling pool nodes that something changed for them."""

from __future__ import annotations

from django.db.models import F, QuerySet

from studies.pooling.models import PoolNode
from studies.pooling.signals import pool_has_news


def have_look(pools: QuerySet[PoolNode]) -> None:
    """Have pool nodes look at what changed: by their next heartbeat, or at once where they listen."""
    pools.update(news=F("news") + 1)
    pool_has_news.send(sender=PoolNode, node_ids=list(pools.values_list("node_id", flat=True)))

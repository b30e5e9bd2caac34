"""News about nodes: `node_id` and `site_id`, sent inside the transaction of the change."""

from accounts.signals import node_confirmed, node_frozen, node_revoked, node_rotated

__all__ = ["node_confirmed", "node_frozen", "node_revoked", "node_rotated"]

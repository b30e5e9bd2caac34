"""News about nodes: `node_id` and `site_id`, sent inside the transaction of the change."""

from django.dispatch import Signal

from accounts.signals import node_confirmed, node_frozen, node_revoked, node_rotated

__all__ = ["log_refused", "node_confirmed", "node_frozen", "node_revoked", "node_rotated", "node_seen"]

# A node said that it is there.
node_seen = Signal()

# A node found that the log is not the one that it saw before: `node` and `refusal`.
log_refused = Signal()

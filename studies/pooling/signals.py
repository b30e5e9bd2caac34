"""News about pooled rows, sent inside the transaction of the change."""

from django.dispatch import Signal

# A site's consent was given, replaced, revoked, expired or deleted: consent, verb, by
consent_changed = Signal()

# Pool nodes have something to look at: node_ids, as text
pool_has_news = Signal()

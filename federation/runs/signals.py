"""News of the engine for whoever is above it."""

from django.dispatch import Signal

run_changed = Signal()
"""Something of a run changed that the log does not tell: run_id. Sent inside the transaction of the change."""
messages_sent = Signal()
"""Messages wait at the SuperLink. Arguments: node_ids, the registry's ids of the nodes that they are for."""

"""News of the engine for whoever is above it."""

from django.dispatch import Signal

messages_sent = Signal()
"""Messages wait at the SuperLink. Arguments: node_ids, the registry's ids of the nodes that they are for."""

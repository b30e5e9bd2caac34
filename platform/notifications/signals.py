"""News about notifications, sent inside the transaction of the change."""

from django.dispatch import Signal

news_changed = Signal()
"""People were told something, or read it: people, their ids."""

"""News of the log."""

from django.dispatch import Signal

recorded = Signal()
"""An entry was written: event (Event). Sent inside the transaction of the change that it tells of."""

"""News about scripts and approvals, sent inside the transaction of the change."""

from django.dispatch import Signal

# approval, by
approval_recorded = Signal()
approval_revoked = Signal()

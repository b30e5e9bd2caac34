"""News about scripts and approvals, sent inside the transaction of the change."""

from django.dispatch import Signal

# approval
approval_recorded = Signal()
approval_revoked = Signal()

"""News about scripts, their reviews and approvals, sent inside the transaction of the change."""

from django.dispatch import Signal

# version, by
version_submitted = Signal()
# comment, opens (whether it begins its thread), by
comment_written = Signal()
# approval; sent once for each that ends within two weeks
approval_expiring = Signal()
# approval, by
approval_recorded = Signal()
approval_revoked = Signal()

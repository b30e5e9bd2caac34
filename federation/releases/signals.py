"""News about releases, sent inside the transaction of the change."""

from django.dispatch import Signal

# A release (release, by) was requested, co-signed, released, refused or withdrawn.
release_changed = Signal()

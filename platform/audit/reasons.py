"""Why something ended of which several parts of the portal tell the log; pages say it in the reader's language."""

from __future__ import annotations

from django.utils.translation import gettext_noop

SITE_WITHDREW = gettext_noop("the site withdrew from the study")
NODE_REVOKED = gettext_noop("the node was revoked")
DELETION_ASKED = gettext_noop("its site asked for deletion")
KEY_DESTROYED = gettext_noop("the pool node destroyed the key")
CONSENT_REPLACED = gettext_noop("a newer consent took its place")
CONSENT_ENDED = gettext_noop("its consent ended")
RETENTION_OVER = gettext_noop("its retention is over")

REASONS = frozenset(
    {SITE_WITHDREW, NODE_REVOKED, DELETION_ASKED, KEY_DESTROYED, CONSENT_REPLACED, CONSENT_ENDED, RETENTION_OVER}
)

"""The states of a script version, of an approval, and of a thread of its review."""

from django.utils.translation import gettext_noop

from audit.states import StateTable

VERSION = StateTable(
    name="script version",
    initial="submitted",
    moves={"submitted": {"withdrawn"}, "withdrawn": set()},
)

APPROVAL = StateTable(
    name="approval",
    initial="valid",
    moves={"valid": {"revoked"}, "revoked": set()},
)

DECISIONS = (gettext_noop("approved"), gettext_noop("rejected"))  # sentences of the log name them

THREAD = StateTable(
    name="thread",
    initial="open",
    moves={"open": {"resolved"}, "resolved": {"open"}},
)

THREAD_KINDS = ("question", "comment")

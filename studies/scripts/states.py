"""The states of a script version and of an approval."""

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

DECISIONS = ("approved", "rejected")

"""The states of a node as the portal sees it."""

from audit.states import StateTable

NODE = StateTable(
    name="node",
    initial="expected",
    moves={
        "expected": {"pending", "revoked"},
        "pending": {"active", "revoked"},
        "active": {"frozen", "revoked"},
        "frozen": {"active", "revoked"},
        "revoked": set(),
    },
)

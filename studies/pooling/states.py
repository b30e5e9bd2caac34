"""The states of what belongs to pooled rows."""

from audit.states import StateTable

POOL_NODE = StateTable(name="pool node", initial="named", moves={"named": {"ended"}, "ended": set()})

KEY = StateTable(name="pool key", initial="active", moves={"active": {"destroyed"}, "destroyed": set()})

CONSENT = StateTable(
    name="consent",
    initial="valid",
    moves={
        "valid": {"replaced", "expired", "revoked"},
        "replaced": {"revoked"},
        "expired": {"revoked"},
        "revoked": {"deleted"},
        "deleted": set(),
    },
)
REVOCABLE = tuple(state for state, following in CONSENT.moves.items() if "revoked" in following)

ENDINGS = tuple(CONSENT.moves["valid"])

OBJECT = StateTable(
    name="pooled object",
    initial="announced",
    moves={
        "announced": {"receiving", "complete", "refused", "revoked"},
        "receiving": {"complete", "refused", "revoked"},
        "complete": {"revoked"},
        "refused": set(),
        "revoked": {"deleted"},
        "deleted": set(),
    },
)
COMING = ("announced", "receiving")
HELD = (*COMING, "complete")

LEVELS = ("F3", "F4")

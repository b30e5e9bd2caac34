"""The states of a request for a role."""

from audit.states import StateTable

REQUEST = StateTable(
    name="request",
    initial="asked",
    moves={
        "asked": {"accepted", "refused", "withdrawn"},
        "accepted": set(),
        "refused": set(),
        "withdrawn": set(),
    },
)

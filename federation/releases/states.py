"""The states of a model's release."""

from audit.states import StateTable

RELEASE = StateTable(
    name="release",
    initial="requested",
    moves={
        "requested": {"released", "refused", "withdrawn"},
        "released": set(),
        "refused": set(),
        "withdrawn": set(),
    },
)

# Of one model there is one request at a time, and none after it was released.
STANDING = ("requested", "released")

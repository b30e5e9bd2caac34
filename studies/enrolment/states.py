"""The states of an enrolment and the levels of participation."""

from audit.states import StateTable

ENROLMENT = StateTable(
    name="enrolment",
    initial="invited",
    moves={
        "invited": {"accepted", "declined", "withdrawn"},
        "accepted": {"ready", "withdrawn"},
        "ready": {"accepted", "withdrawn"},
        "declined": {"invited"},
        "withdrawn": {"invited"},
    },
)

OPEN = ("invited", "accepted", "ready")
TAKING_PART = ("accepted", "ready")

LEVELS = {
    "F0": "validation only",
    "F1": "aggregate statistics",
    "F2": "model updates",
    "F3": "a de-identified subset is pooled",
    "F4": "the study dataset is pooled",
}
DEFAULT_LEVEL = "F2"
LEAST_LEVEL = "F0"
# What needs no more than the site's word; pooling rows besides asks for a consent (`pooling`).
OFFERED_LEVELS = ("F0", "F1", "F2")
POOLED_LEVELS = ("F3", "F4")

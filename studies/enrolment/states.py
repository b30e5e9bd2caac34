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
# What the engine holds to today; a site that was promised another level would train like all others.
OFFERED_LEVELS = ("F2",)

"""The states of a dataset."""

from audit.states import StateTable

DATASET = StateTable(
    name="dataset",
    initial="valid",
    moves={
        "valid": {"invalid", "withdrawn"},
        "invalid": {"valid", "withdrawn"},
        "withdrawn": set(),
    },
)

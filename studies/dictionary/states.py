"""The states of a dataset. Sentences of the log name them, on pages in the reader's language."""

from django.utils.translation import gettext_noop

from audit.states import StateTable

DATASET = StateTable(
    name="dataset",
    initial="valid",
    moves={
        gettext_noop("valid"): {"invalid", "withdrawn"},
        gettext_noop("invalid"): {"valid", "withdrawn"},
        gettext_noop("withdrawn"): set(),
    },
)

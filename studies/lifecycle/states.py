"""The states of a study. Sentences of the log name them, on pages in the reader's language."""

from django.utils.translation import gettext_noop

from audit.states import StateTable

STUDY = StateTable(
    name="study",
    initial="draft",
    moves={
        gettext_noop("draft"): {"recruiting", "archived"},
        gettext_noop("recruiting"): {"active", "closed"},
        gettext_noop("active"): {"closed"},
        gettext_noop("closed"): {"archived"},
        gettext_noop("archived"): set(),
    },
)

EDITABLE = ("draft", "recruiting", "active")
INVITING = ("recruiting", "active")

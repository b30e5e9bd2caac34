"""The states of a study."""

from audit.states import StateTable

STUDY = StateTable(
    name="study",
    initial="draft",
    moves={
        "draft": {"recruiting", "archived"},
        "recruiting": {"active", "closed"},
        "active": {"closed"},
        "closed": {"archived"},
        "archived": set(),
    },
)

EDITABLE = ("draft", "recruiting", "active")
INVITING = ("recruiting", "active")

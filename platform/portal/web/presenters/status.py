"""The words, tones and icons of every state that a page names."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop


@dataclass(frozen=True)
class Status:
    """A state in words; ``tone`` is ok, wait, bad, info or idle and never the only sign."""

    label: str
    tone: str
    icon: str
    meaning: str = ""


STATUSES: dict[str, dict[str, Status]] = {
    "study": {
        "draft": Status(
            gettext_noop("Draft"), "idle", "pencil", gettext_noop("Only its own people see it; no site is invited yet.")
        ),
        "recruiting": Status(
            gettext_noop("Recruiting"), "info", "people", gettext_noop("Sites are invited and get ready.")
        ),
        "active": Status(gettext_noop("Active"), "ok", "check", gettext_noop("Runs may start.")),
        "closed": Status(gettext_noop("Closed"), "idle", "lock", gettext_noop("No new runs; results stay readable.")),
        "archived": Status(gettext_noop("Archived"), "idle", "box", gettext_noop("Kept for the record.")),
    },
    "enrolment": {
        "invited": Status(
            gettext_noop("Invited"), "wait", "clock", gettext_noop("The site has not answered the invitation.")
        ),
        "accepted": Status(
            gettext_noop("Accepted"),
            "info",
            "clock",
            gettext_noop("The site takes part; its node or dataset is not ready."),
        ),
        "ready": Status(gettext_noop("Ready"), "ok", "check", gettext_noop("An active node offers a valid dataset.")),
        "withdrawn": Status(gettext_noop("Withdrawn"), "idle", "stop", gettext_noop("The site no longer takes part.")),
        "declined": Status(
            gettext_noop("Declined"), "idle", "stop", gettext_noop("The site answered that it does not take part.")
        ),
    },
    "node": {
        "expected": Status(
            gettext_noop("Expected"),
            "wait",
            "clock",
            gettext_noop("A token was handed out; the node has not enrolled yet."),
        ),
        "pending": Status(
            gettext_noop("To confirm"),
            "wait",
            "eye",
            gettext_noop("The node enrolled; somebody must compare the six words."),
        ),
        "active": Status(gettext_noop("Active"), "ok", "check", gettext_noop("Confirmed; it may take part in runs.")),
        "frozen": Status(
            gettext_noop("Frozen"),
            "bad",
            "alert",
            gettext_noop("Two agents used its keys; it takes no part until its admin looks."),
        ),
        "revoked": Status(gettext_noop("Revoked"), "bad", "stop", gettext_noop("Its keys are refused everywhere.")),
    },
    "presence": {
        "online": Status(gettext_noop("Online"), "ok", "pulse", gettext_noop("Seen within the last 30 seconds.")),
        "offline": Status(
            gettext_noop("Offline"), "bad", "pulse", gettext_noop("Not seen within the last 30 seconds.")
        ),
        "paused": Status(
            gettext_noop("Paused"),
            "wait",
            "stop",
            gettext_noop("Its site's people have paused it; it refuses all work."),
        ),
        "never": Status(gettext_noop("Never seen"), "idle", "pulse", gettext_noop("The node has not called yet.")),
    },
    "dataset": {
        "valid": Status(gettext_noop("Valid"), "ok", "check", gettext_noop("It fits the data dictionary.")),
        "invalid": Status(
            gettext_noop("Does not fit"),
            "bad",
            "alert",
            gettext_noop("It does not fit the data dictionary; see the findings."),
        ),
        "withdrawn": Status(gettext_noop("Withdrawn"), "idle", "stop", gettext_noop("The site no longer offers it.")),
    },
    "script": {
        "draft": Status(gettext_noop("Draft"), "idle", "pencil", gettext_noop("Not submitted to the sites.")),
        "submitted": Status(
            gettext_noop("Submitted"), "info", "send", gettext_noop("Sites can review and sign it at their nodes.")
        ),
        "withdrawn": Status(gettext_noop("Withdrawn"), "idle", "stop", gettext_noop("No run may use it any more.")),
    },
    "approval": {
        "valid": Status(
            gettext_noop("Approved"), "ok", "seal", gettext_noop("Signed by the site's own key and in force.")
        ),
        "approved": Status(
            gettext_noop("Approved"), "ok", "seal", gettext_noop("Signed by the site's own key and in force.")
        ),
        "rejected": Status(
            gettext_noop("Rejected"),
            "bad",
            "stop",
            gettext_noop("The site signed that this script may not run on its data."),
        ),
        "revoked": Status(gettext_noop("Revoked"), "bad", "stop", gettext_noop("The site took its approval back.")),
        "expired": Status(
            gettext_noop("Expired"),
            "bad",
            "clock",
            gettext_noop("The approval's time is over; the site must sign again."),
        ),
        "awaited": Status(gettext_noop("Awaited"), "wait", "clock", gettext_noop("The site has not signed yet.")),
    },
    "run": {
        "draft": Status(gettext_noop("Draft"), "idle", "pencil", gettext_noop("Set up, not started.")),
        "queued": Status(
            gettext_noop("Queued"), "wait", "clock", gettext_noop("Other runs come first; its place is on its page.")
        ),
        "waiting": Status(
            gettext_noop("Waiting for sites"),
            "wait",
            "clock",
            gettext_noop("It starts as soon as the quorum is there."),
        ),
        "running": Status(gettext_noop("Running"), "info", "pulse", gettext_noop("Rounds are under way.")),
        "pausing": Status(
            gettext_noop("Pausing"), "wait", "pause", gettext_noop("The round at work is finished first.")
        ),
        "paused": Status(
            gettext_noop("Paused"),
            "idle",
            "pause",
            gettext_noop("Nothing is sent to any site until somebody resumes it."),
        ),
        "completed": Status(gettext_noop("Completed"), "ok", "check", gettext_noop("Its rounds are committed.")),
        "failed": Status(
            gettext_noop("Failed"),
            "bad",
            "alert",
            gettext_noop("It ended before its last round; the reason is on the page."),
        ),
        "stopped": Status(gettext_noop("Stopped"), "idle", "stop", gettext_noop("Somebody stopped it.")),
    },
    "release": {
        "requested": Status(
            gettext_noop("Asked for"),
            "wait",
            "clock",
            gettext_noop("It waits for data stewards of the sites in the model."),
        ),
        "released": Status(
            gettext_noop("Released"),
            "ok",
            "seal",
            gettext_noop("The sites consented: the model may leave the platform."),
        ),
        "refused": Status(
            gettext_noop("Refused"), "bad", "stop", gettext_noop("A site refused; its reason is on the page.")
        ),
        "withdrawn": Status(
            gettext_noop("Withdrawn"), "idle", "stop", gettext_noop("Who asked took the request back.")
        ),
    },
    "consent": {
        "valid": Status(gettext_noop("In force"), "ok", "seal", gettext_noop("Signed by two people of the site.")),
        "replaced": Status(gettext_noop("Replaced"), "idle", "stop", gettext_noop("A newer consent took its place.")),
        "expired": Status(gettext_noop("Expired"), "bad", "clock", gettext_noop("Its time is over.")),
        "revoked": Status(
            gettext_noop("Revoked"),
            "bad",
            "stop",
            gettext_noop("Nothing uses the rows any more; they may still exist."),
        ),
        "deleted": Status(
            gettext_noop("Deleted"), "idle", "bin", gettext_noop("The key that opened the rows was destroyed.")
        ),
    },
    "pooledobject": {
        "announced": Status(gettext_noop("Announced"), "wait", "clock", gettext_noop("Nothing has come yet.")),
        "receiving": Status(gettext_noop("Coming"), "info", "pulse", gettext_noop("A part of it has come.")),
        "complete": Status(gettext_noop("Received"), "ok", "check", gettext_noop("It lies here, encrypted.")),
        "refused": Status(
            gettext_noop("Refused"),
            "bad",
            "alert",
            gettext_noop("It was not what its description says, or not encrypted."),
        ),
        "revoked": Status(gettext_noop("Revoked"), "bad", "stop", gettext_noop("Nobody is given it any more.")),
        "deleted": Status(gettext_noop("Deleted"), "idle", "bin", gettext_noop("It is gone.")),
    },
    "schedule": {
        "active": Status(gettext_noop("Active"), "ok", "clock", gettext_noop("It makes its run when it is due.")),
        "suspended": Status(
            gettext_noop("Suspended"), "idle", "pause", gettext_noop("It makes no run until somebody resumes it.")
        ),
        "ended": Status(gettext_noop("Ended"), "idle", "stop", gettext_noop("It makes no more runs.")),
    },
    "webhook": {
        "active": Status(gettext_noop("Active"), "ok", "send", gettext_noop("It is told.")),
        "disabled": Status(gettext_noop("Switched off"), "idle", "stop", gettext_noop("It is told nothing.")),
    },
    "delivery": {
        "waiting": Status(gettext_noop("Waiting"), "wait", "clock", gettext_noop("It is sent, or tried again, soon.")),
        "delivered": Status(gettext_noop("Delivered"), "ok", "check", gettext_noop("The receiver took it.")),
        "failed": Status(gettext_noop("Failed"), "bad", "alert", gettext_noop("It did not arrive.")),
    },
    "round": {
        "open": Status(gettext_noop("Open"), "info", "pulse", gettext_noop("Answers are coming in.")),
        "committed": Status(gettext_noop("Committed"), "ok", "check", gettext_noop("Aggregated and kept.")),
        "failed": Status(gettext_noop("Failed"), "bad", "alert", gettext_noop("Too few sites answered in time.")),
    },
    "participation": {
        "awaited": Status(gettext_noop("Awaited"), "wait", "clock", gettext_noop("Asked, not answered yet.")),
        "done": Status(gettext_noop("Done"), "ok", "check", gettext_noop("Answered; its receipt is kept.")),
        "refused": Status(
            gettext_noop("Refused"),
            "bad",
            "stop",
            gettext_noop("The node or the portal refused; the code says which rule."),
        ),
        "failed": Status(gettext_noop("Failed"), "bad", "alert", gettext_noop("The script failed at the site.")),
        "missing": Status(gettext_noop("Missing"), "bad", "pulse", gettext_noop("No answer before the deadline.")),
    },
    "risk": {
        "none": Status(
            gettext_noop("No change"), "ok", "check", gettext_noop("Nothing changed that a site runs, sends or allows.")
        ),
        "low": Status(gettext_noop("Low"), "idle", "info", gettext_noop("Good to know.")),
        "medium": Status(
            gettext_noop("Medium"), "wait", "alert", gettext_noop("Somebody should be able to say why it is there.")
        ),
        "high": Status(gettext_noop("High"), "bad", "alert", gettext_noop("Do not sign before it is explained.")),
    },
    "thread": {
        "open": Status(
            gettext_noop("Open"),
            "wait",
            "clock",
            gettext_noop("It waits for an answer, or for somebody to resolve it."),
        ),
        "resolved": Status(gettext_noop("Resolved"), "ok", "check", gettext_noop("Nothing more is to be said.")),
    },
    "filechange": {
        "added": Status(
            gettext_noop("Added"), "ok", "plus", gettext_noop("The older version does not have this file.")
        ),
        "removed": Status(
            gettext_noop("Removed"), "bad", "stop", gettext_noop("The newer version does not have this file.")
        ),
        "changed": Status(gettext_noop("Changed"), "info", "pencil", gettext_noop("Both versions have this file.")),
    },
    "part": {
        "ok": Status(gettext_noop("Well"), "ok", "check"),
        "warning": Status(
            gettext_noop("To look at"), "wait", "alert", gettext_noop("It works, but somebody should look at it.")
        ),
        "failing": Status(
            gettext_noop("Failing"), "bad", "alert", gettext_noop("It does not work, or was not heard of in time.")
        ),
        "unknown": Status(
            gettext_noop("Not known"), "idle", "dot", gettext_noop("Nothing was heard that it could be judged by.")
        ),
    },
    "standing": {
        "current": Status(gettext_noop("Current"), "ok", "check", gettext_noop("The portal's version.")),
        "behind": Status(gettext_noop("Behind"), "wait", "clock", gettext_noop("An older version than the portal's.")),
        "ahead": Status(
            gettext_noop("Ahead"),
            "wait",
            "alert",
            gettext_noop("A newer version than the portal's: update the portal."),
        ),
        "unknown": Status(gettext_noop("Not known"), "idle", "dot", gettext_noop("It said no version.")),
    },
    "account": {
        "open": Status(gettext_noop("Open"), "ok", "check", gettext_noop("The person can sign in.")),
        "closed": Status(
            gettext_noop("Closed"), "idle", "lock", gettext_noop("The person cannot sign in; their roles are kept.")
        ),
    },
    "request": {
        "asked": Status(
            gettext_noop("Asked"), "wait", "clock", gettext_noop("It waits for an answer of those who give the role.")
        ),
        "accepted": Status(gettext_noop("Accepted"), "ok", "check", gettext_noop("The role was given.")),
        "refused": Status(gettext_noop("Refused"), "bad", "stop"),
        "withdrawn": Status(
            gettext_noop("Taken back"), "idle", "stop", gettext_noop("The person does not ask for it any more.")
        ),
    },
    "witness": {
        "holds": Status(gettext_noop("Cosigned"), "ok", "seal", gettext_noop("It cosigned the newest checkpoint.")),
        "behind": Status(
            gettext_noop("Follows"),
            "info",
            "pulse",
            gettext_noop("It cosigned the log, and has not seen its newest events."),
        ),
        "silent": Status(gettext_noop("Not yet"), "wait", "clock", gettext_noop("It has not cosigned this log.")),
        "refused": Status(
            gettext_noop("Refused"), "bad", "alert", gettext_noop("The log is not the one that it saw before.")
        ),
    },
    "outcome": {
        "done": Status(gettext_noop("Done"), "ok", "check"),
        "refused": Status(gettext_noop("Refused"), "bad", "stop"),
        "failed": Status(gettext_noop("Failed"), "bad", "alert"),
    },
}


def status_of(kind: str, state: str) -> Status:
    """The status of ``state``; a state this table does not know is shown by its own name."""
    known = STATUSES[kind].get(state)
    if known is None:
        return Status(state.replace("_", " ").capitalize(), "idle", "dot")
    return replace(known, label=_(known.label), meaning=_(known.meaning) if known.meaning else "")

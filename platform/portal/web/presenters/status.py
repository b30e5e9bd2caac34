"""The words, tones and icons of every state that a page names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Status:
    """A state in words; ``tone`` is ok, wait, bad, info or idle and never the only sign."""

    label: str
    tone: str
    icon: str
    meaning: str = ""


STATUSES: dict[str, dict[str, Status]] = {
    "study": {
        "draft": Status("Draft", "idle", "pencil", "Only its own people see it; no site is invited yet."),
        "recruiting": Status("Recruiting", "info", "people", "Sites are invited and get ready."),
        "active": Status("Active", "ok", "check", "Runs may start."),
        "closed": Status("Closed", "idle", "lock", "No new runs; results stay readable."),
        "archived": Status("Archived", "idle", "box", "Kept for the record."),
    },
    "enrolment": {
        "invited": Status("Invited", "wait", "clock", "The site has not answered the invitation."),
        "accepted": Status("Accepted", "info", "clock", "The site takes part; its node or dataset is not ready."),
        "ready": Status("Ready", "ok", "check", "An active node offers a valid dataset."),
        "withdrawn": Status("Withdrawn", "idle", "stop", "The site no longer takes part."),
        "declined": Status("Declined", "idle", "stop", "The site answered that it does not take part."),
    },
    "node": {
        "expected": Status("Expected", "wait", "clock", "A token was handed out; the node has not enrolled yet."),
        "pending": Status("To confirm", "wait", "eye", "The node enrolled; somebody must compare the six words."),
        "active": Status("Active", "ok", "check", "Confirmed; it may take part in runs."),
        "frozen": Status("Frozen", "bad", "alert", "Two agents used its keys; it takes no part until its admin looks."),
        "revoked": Status("Revoked", "bad", "stop", "Its keys are refused everywhere."),
    },
    "presence": {
        "online": Status("Online", "ok", "pulse", "Seen within the last 30 seconds."),
        "offline": Status("Offline", "bad", "pulse", "Not seen within the last 30 seconds."),
        "paused": Status("Paused", "wait", "stop", "Its site's people have paused it; it refuses all work."),
        "never": Status("Never seen", "idle", "pulse", "The node has not called yet."),
    },
    "dataset": {
        "valid": Status("Valid", "ok", "check", "It fits the data dictionary."),
        "invalid": Status("Does not fit", "bad", "alert", "It does not fit the data dictionary; see the findings."),
        "withdrawn": Status("Withdrawn", "idle", "stop", "The site no longer offers it."),
    },
    "script": {
        "draft": Status("Draft", "idle", "pencil", "Not submitted to the sites."),
        "submitted": Status("Submitted", "info", "send", "Sites can review and sign it at their nodes."),
        "withdrawn": Status("Withdrawn", "idle", "stop", "No run may use it any more."),
    },
    "approval": {
        "valid": Status("Approved", "ok", "seal", "Signed by the site's own key and in force."),
        "approved": Status("Approved", "ok", "seal", "Signed by the site's own key and in force."),
        "rejected": Status("Rejected", "bad", "stop", "The site signed that this script may not run on its data."),
        "revoked": Status("Revoked", "bad", "stop", "The site took its approval back."),
        "expired": Status("Expired", "bad", "clock", "The approval's time is over; the site must sign again."),
        "awaited": Status("Awaited", "wait", "clock", "The site has not signed yet."),
    },
    "run": {
        "draft": Status("Draft", "idle", "pencil", "Set up, not started."),
        "queued": Status("Queued", "wait", "clock", "Other runs come first; its place is on its page."),
        "waiting": Status("Waiting for sites", "wait", "clock", "It starts as soon as the quorum is there."),
        "running": Status("Running", "info", "pulse", "Rounds are under way."),
        "pausing": Status("Pausing", "wait", "pause", "The round at work is finished first."),
        "paused": Status("Paused", "idle", "pause", "Nothing is sent to any site until somebody resumes it."),
        "completed": Status("Completed", "ok", "check", "Its rounds are committed."),
        "failed": Status("Failed", "bad", "alert", "It ended before its last round; the reason is on the page."),
        "stopped": Status("Stopped", "idle", "stop", "Somebody stopped it."),
    },
    "release": {
        "requested": Status("Asked for", "wait", "clock", "It waits for data stewards of the sites in the model."),
        "released": Status("Released", "ok", "seal", "The sites consented: the model may leave the platform."),
        "refused": Status("Refused", "bad", "stop", "A site refused; its reason is on the page."),
        "withdrawn": Status("Withdrawn", "idle", "stop", "Who asked took the request back."),
    },
    "schedule": {
        "active": Status("Active", "ok", "clock", "It makes its run when it is due."),
        "suspended": Status("Suspended", "idle", "pause", "It makes no run until somebody resumes it."),
        "ended": Status("Ended", "idle", "stop", "It makes no more runs."),
    },
    "webhook": {
        "active": Status("Active", "ok", "send", "It is told."),
        "disabled": Status("Switched off", "idle", "stop", "It is told nothing."),
    },
    "delivery": {
        "waiting": Status("Waiting", "wait", "clock", "It is sent, or tried again, soon."),
        "delivered": Status("Delivered", "ok", "check", "The receiver took it."),
        "failed": Status("Failed", "bad", "alert", "It did not arrive."),
    },
    "round": {
        "open": Status("Open", "info", "pulse", "Answers are coming in."),
        "committed": Status("Committed", "ok", "check", "Aggregated and kept."),
        "failed": Status("Failed", "bad", "alert", "Too few sites answered in time."),
    },
    "participation": {
        "awaited": Status("Awaited", "wait", "clock", "Asked, not answered yet."),
        "done": Status("Done", "ok", "check", "Answered; its receipt is kept."),
        "refused": Status("Refused", "bad", "stop", "The node or the portal refused; the code says which rule."),
        "failed": Status("Failed", "bad", "alert", "The script failed at the site."),
        "missing": Status("Missing", "bad", "pulse", "No answer before the deadline."),
    },
    "risk": {
        "none": Status("No change", "ok", "check", "Nothing changed that a site runs, sends or allows."),
        "low": Status("Low", "idle", "info", "Good to know."),
        "medium": Status("Medium", "wait", "alert", "Somebody should be able to say why it is there."),
        "high": Status("High", "bad", "alert", "Do not sign before it is explained."),
    },
    "thread": {
        "open": Status("Open", "wait", "clock", "It waits for an answer, or for somebody to resolve it."),
        "resolved": Status("Resolved", "ok", "check", "Nothing more is to be said."),
    },
    "filechange": {
        "added": Status("Added", "ok", "plus", "The older version does not have this file."),
        "removed": Status("Removed", "bad", "stop", "The newer version does not have this file."),
        "changed": Status("Changed", "info", "pencil", "Both versions have this file."),
    },
    "part": {
        "ok": Status("Well", "ok", "check"),
        "warning": Status("To look at", "wait", "alert", "It works, but somebody should look at it."),
        "failing": Status("Failing", "bad", "alert", "It does not work, or was not heard of in time."),
        "unknown": Status("Not known", "idle", "dot", "Nothing was heard that it could be judged by."),
    },
    "standing": {
        "current": Status("Current", "ok", "check", "The portal's version."),
        "behind": Status("Behind", "wait", "clock", "An older version than the portal's."),
        "ahead": Status("Ahead", "wait", "alert", "A newer version than the portal's: update the portal."),
        "unknown": Status("Not known", "idle", "dot", "It said no version."),
    },
    "account": {
        "open": Status("Open", "ok", "check", "The person can sign in."),
        "closed": Status("Closed", "idle", "lock", "The person cannot sign in; their roles are kept."),
    },
    "request": {
        "asked": Status("Asked", "wait", "clock", "It waits for an answer of those who give the role."),
        "accepted": Status("Accepted", "ok", "check", "The role was given."),
        "refused": Status("Refused", "bad", "stop"),
        "withdrawn": Status("Taken back", "idle", "stop", "The person does not ask for it any more."),
    },
    "witness": {
        "holds": Status("Cosigned", "ok", "seal", "It cosigned the newest checkpoint."),
        "behind": Status("Follows", "info", "pulse", "It cosigned the log, and has not seen its newest events."),
        "silent": Status("Not yet", "wait", "clock", "It has not cosigned this log."),
        "refused": Status("Refused", "bad", "alert", "The log is not the one that it saw before."),
    },
    "outcome": {
        "done": Status("Done", "ok", "check"),
        "refused": Status("Refused", "bad", "stop"),
        "failed": Status("Failed", "bad", "alert"),
    },
}


def status_of(kind: str, state: str) -> Status:
    """The status of ``state``; a state this table does not know is shown by its own name."""
    known = STATUSES[kind].get(state)
    return known or Status(state.replace("_", " ").capitalize(), "idle", "dot")

"""What the portal changes without an event of its own, and why.

`UNTOLD` names the functions that never reach the log, for who reads the source; `UNTOLD_WRITES` what statements may
change without it, for who watches them.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

PART = "a part of a change; who calls it writes the event"
USE = "says when something was last used; its use is an event where it matters"
WORK = "work in progress of a round: its event, when it is committed or a site is absent, tells all of it"
LEASE = "which worker drives a run; no state of it"
HEARD = "what a node says of itself at each heartbeat; where it comes, goes, pauses or changes there is an event"
DELIVERIES = "the log of one webhook's deliveries, of things that are events already"
RETIRED = "tidies up at the SuperLink after the end of a run, which is an event"
PRINTED = "what a script's ServerApp printed; nothing that the run made"
ROW = "*"  # in the place of columns: a row that is added or removed
UNTOLD = MappingProxyType(
    {
        "accounts.groups.give": PART,
        "accounts.groups.group_for": PART,
        "accounts.groups.groups_of_site": PART,
        "accounts.groups.take": PART,
        "accounts.identities.person_behind": USE,
        "accounts.models.UserManager.create_user": PART,
        "accounts.services.open_account": PART,
        "accounts.sessions.end_everything": PART,
        "accounts.sessions.end_sessions": PART,
        "accounts.tokens.note_use": USE,
        "federation.runs.aggregation.Aggregator.forget": "removes what was spooled on disk; the record stays",
        "federation.runs.attempts.retire": RETIRED,
        "federation.runs.journal.ask_again": WORK,
        "federation.runs.journal.ask_another": WORK,
        "federation.runs.journal.begin_turn": WORK,
        "federation.runs.journal.lose_message": WORK,
        "federation.runs.journal.note_answers": WORK,
        "federation.runs.journal.note_sent": WORK,
        "federation.runs.lease.Lease.release": LEASE,
        "federation.runs.lease.claim": LEASE,
        "federation.runs.server_journal.keep_log": PRINTED,
        "federation.runs.server_journal.open_exchange": WORK,
        "federation.runs.services.plan_run": PART,
        "federation.runs.tasks.retire": RETIRED,
        "nodes.registry.services.take_sequence": "counts a node's requests",
        "studies.pooling.objects.begin_object": "bytes begin to come; what was announced and what came are events",
        "webhooks.outbox.close": PART,
        "webhooks.outbox.tell": DELIVERIES,
        "webhooks.outbox.test_message": PART,
        "webhooks.tasks.send_due": DELIVERIES,
    }
)


@dataclass(frozen=True)
class UntoldWrite:
    """What a statement may change in a transaction without an event.

    Attributes:
        table: as the database calls it.
        columns: which of it; `ROW` for whole rows. All of the table where there are none.
        why: the reason.
        by: the one function that may, or whatever it calls; anybody where it is empty.
    """

    table: str
    columns: tuple[str, ...]
    why: str
    by: str = ""


UNTOLD_WRITES = (
    UntoldWrite("accounts_session", (), "what a browser carries from page to page; signing in and out are events"),
    UntoldWrite("accounts_apitoken", ("last_used_at",), USE),
    UntoldWrite("accounts_identity", ("last_used_at",), USE),
    UntoldWrite("webhooks_delivery", (), DELIVERIES),
    UntoldWrite(
        "registry_node", ("agent_version", "boots", "last_seen_at", "last_sequence", "sandbox", "status"), HEARD
    ),
    UntoldWrite(
        "pooling_pooledobject", ("state",), "bytes begin to come; what was announced and what came are events",
        by="studies.pooling.objects.begin_object",
    ),
    UntoldWrite("runs_run", ("epoch", "lease_owner", "lease_until"), LEASE),
    UntoldWrite(
        "runs_run", ("best_round",), "read off the metrics of its rounds, each time anew",
        by="federation.runs.halting.note_evaluation",
    ),
    UntoldWrite(
        "runs_attempt", ("flower_node_id", "flower_task_id", "state", "token"),
        "a worker took the task of an attempt whose announcement is an event",
        by="federation.runs.attempts._claim_pending",
    ),
    UntoldWrite("runs_attempt", ("ended_at", "state", "token"), RETIRED, by="federation.runs.attempts.retire"),
    UntoldWrite("runs_round", ("deadline_at", "phase", "phase_started_at"), WORK),
    UntoldWrite("runs_round", (ROW,), WORK, by="federation.runs.server_journal.open_exchange"),
    UntoldWrite(
        "runs_round", ("candidate_sha256", "metrics", "shared_sha256", "state_sha256"), WORK,
        by="federation.runs.journal.close_phase",
    ),
    UntoldWrite("runs_participation", ("asked_at", "message_id"), WORK),
    UntoldWrite("runs_participation", (ROW,), WORK, by="federation.runs.journal.open_phase"),
    UntoldWrite("runs_participation", (ROW,), WORK, by="federation.runs.journal.ask_another"),
    UntoldWrite(
        "runs_participation", ("approval_id", "bytes_sent", "rounding"), WORK, by="federation.runs.journal.note_sent"
    ),
    UntoldWrite(
        "runs_participation",
        ("answered_at", "bytes_received", "content_sha256", "examples", "metrics", "receipt", "rounding", "state"),
        WORK,
        by="federation.runs.journal.note_answers",
    ),
    UntoldWrite("runs_runfile", (ROW, "form", "sha256", "size"), PRINTED, by="federation.runs.server_journal.keep_log"),
)  # fmt: skip

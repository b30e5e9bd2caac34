"""What the portal changes without an event of its own, and why; both ways of looking for it know this."""

from __future__ import annotations

from types import MappingProxyType

PART = "a part of a change; who calls it writes the event"
USE = "says when something was last used; its use is an event where it matters"
WORK = "work in progress of a round: its event, when it is committed or a site is absent, tells all of it"
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
        "federation.runs.attempts.retire": "tidies up at the SuperLink after the end of a run, which is an event",
        "federation.runs.journal.ask_again": WORK,
        "federation.runs.journal.ask_another": WORK,
        "federation.runs.journal.begin_turn": WORK,
        "federation.runs.journal.lose_message": WORK,
        "federation.runs.journal.note_answers": WORK,
        "federation.runs.journal.note_sent": WORK,
        "federation.runs.lease.Lease.release": "which worker drives a run; no state of it",
        "federation.runs.lease.claim": "which worker drives a run; no state of it",
        "federation.runs.server_journal.keep_log": "what a script's ServerApp printed; nothing that the run made",
        "federation.runs.server_journal.open_exchange": WORK,
        "federation.runs.services.plan_run": PART,
        "federation.runs.tasks.retire": "tidies up at the SuperLink after the end of a run, which is an event",
        "nodes.registry.services.take_sequence": "counts a node's requests",
        "studies.pooling.objects.begin_object": "bytes begin to come; what was announced and what came are events",
        "webhooks.outbox.close": "the log of one webhook's deliveries, of things that are events already",
        "webhooks.outbox.tell": "the log of one webhook's deliveries, of things that are events already",
        "webhooks.outbox.test_message": PART,
        "webhooks.tasks.send_due": "the log of one webhook's deliveries, of things that are events already",
    }
)

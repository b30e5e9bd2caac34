"""Every function of the portal that may change the domain reaches the log, but for those named here with the reason."""

from __future__ import annotations

from types import MappingProxyType

from audit.presenters import SENTENCES
from portal.web.presenters.events import SENTENCES as NAMES
from tests.audit.services import LOG, actions, functions, reached

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
# These drive a run by calling the functions of a journal through an object: what they write is named above.
DRIVERS = frozenset(
    {
        "federation.runs.drivers.start",
        "federation.runs.engine.drive",
        "federation.runs.leading.lead",
        "federation.runs.management.commands.lead_run.Command.handle",
        "federation.runs.tasks.drive",
    }
)


def silent() -> set[str]:
    """Functions that anybody may call, that may write rows, and that do not reach the log."""
    known = functions()
    may_write = {name: reached(name, known) for name, made in known.items() if made.is_public}
    return {
        name
        for name, parts in may_write.items()
        if LOG not in parts and any(known[part].writes for part in parts if part in known)
    }


def test_whatever_may_change_the_domain_reaches_the_log() -> None:
    assert silent() - UNTOLD.keys() - DRIVERS == set()


def test_no_exception_is_kept_that_is_none_any_more() -> None:
    assert (UNTOLD.keys() | DRIVERS) - silent() == set()


def test_every_event_that_the_portal_writes_has_its_words() -> None:
    """A name in lists and filters, and a sentence in timelines."""
    assert actions() <= NAMES.keys()
    assert NAMES.keys() == SENTENCES.keys()
    assert len(actions()) > 70


def test_enough_of_the_portal_is_looked_at() -> None:
    """The walk itself could be what is broken."""
    known = functions()
    reaching = {name for name, made in known.items() if made.is_public and LOG in reached(name, known)}
    services = {
        "studies.lifecycle.services.create_study", "studies.scripts.approvals.record_approval",
        "nodes.registry.services.revoke_node", "federation.runs.services.stop_run",
        "federation.runs.journal.close_phase", "federation.releases.services.cosign_release",
        "accounts.grants.grant_role", "webhooks.services.register_webhook",
    }  # fmt: skip
    assert services <= reaching
    assert len(reaching) > 90

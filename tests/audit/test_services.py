"""Every function of the portal that may change the domain reaches the log, but for those named here with the reason."""

from __future__ import annotations

from audit.presenters import SENTENCES
from portal.web.presenters.events import SENTENCES as NAMES
from tests.audit.services import LOG, actions, functions, reached
from tests.audit.untold import UNTOLD

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

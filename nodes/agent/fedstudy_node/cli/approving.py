"""`approve`, `reject`, `cosign`, `revoke`: what this site says about scripts, signed by its people's own keys."""

from argparse import Namespace
from contextlib import closing
from functools import partial

from fedstudy_node.approvals import Approvals, Limits
from fedstudy_node.cli.output import Output, moment, plain, read_passphrase
from fedstudy_node.cli.reviewing import show_offer, show_statement
from fedstudy_node.connecting import open_portal, told
from fedstudy_node.datasets import Dataset, Datasets
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.offers import Offers
from fedstudy_node.portal import Portal
from fedstudy_node.signing import Draft, Signing
from fedstudy_node.trust import Trust

_TOLD = {
    True: "The portal was told.",
    False: "The portal is away. It holds here all the same; the agent tells the portal as soon as it answers.",
}


def approve(arguments: Namespace, output: Output) -> int:
    """Sign that a script may run on a dataset of this node, under limits."""
    return _sign(arguments, output, "approved")


def reject(arguments: Namespace, output: Output) -> int:
    """Sign that a script may not run here."""
    return _sign(arguments, output, "rejected")


def _sign(arguments: Namespace, output: Output, decision: str) -> int:
    """Write a statement from what this node holds, show it, sign it; keep it and hand it in once all have signed."""
    home = Home.open(arguments.home)
    home.enrolled()
    trust = Trust(home)
    signer = trust.find(arguments.approver, kind="console") if arguments.approver else trust.on_console()
    people = [signer, *([trust.find(arguments.second)] if arguments.second else [])]
    with closing(Ledger(home.ledger_path)) as ledger, open_portal(home, ledger) as portal:
        signing = Signing(home, ledger)
        offer = Offers(home).fetch(arguments.version, portal)
        dataset = _dataset(home, arguments.dataset, offer.study)
        draft = signing.begin(offer, dataset, limits_of(arguments), decision, people)
        if not arguments.yes:
            show_offer(output, home, offer)
            show_statement(output, draft.statement, dataset)
            output.confirm(f"Sign this as “{decision}”?")
        key = trust.console_key(signer, read_passphrase(arguments.passphrase_file))
        draft = signing.add(draft, signer.id, key.sign(draft.to_sign))
        return _conclude(signing, portal, draft, output)


def cosign(arguments: Namespace, output: Output) -> int:
    """Sign a statement that another person of this site signed before; without one, list what waits."""
    home = Home.open(arguments.home)
    home.enrolled()
    trust = Trust(home)
    with closing(Ledger(home.ledger_path)) as ledger, open_portal(home, ledger) as portal:
        signing = Signing(home, ledger)
        if arguments.statement is None:
            return _list_waiting(signing, output)
        draft = signing.find(arguments.statement)
        signer = trust.find(arguments.approver or draft.awaited[0], kind="console")
        if not arguments.yes:
            show_offer(output, home, Offers(home).fetch(draft.version, portal))
            show_statement(output, draft.statement, Datasets(home).get(draft.statement.dataset.id))
            output.confirm(f"Sign this as “{draft.statement.meaning}”?")
        key = trust.console_key(signer, read_passphrase(arguments.passphrase_file))
        draft = signing.add(draft, signer.id, key.sign(draft.to_sign))
        return _conclude(signing, portal, draft, output)


def _list_waiting(signing: Signing, output: Output) -> int:
    drafts = signing.waiting()
    output.facts([{"statement": draft.id, "script": draft.script, "awaited": draft.awaited} for draft in drafts])
    output.table(
        "Statements that wait for a second person",
        ("Id", "Script", "Waits for", "Begun"),
        [(draft.id[:12], draft.script, ", ".join(draft.awaited), moment(draft.begun_at)) for draft in drafts],
    )
    return 0


def _conclude(signing: Signing, portal: Portal, draft: Draft, output: Output) -> int:
    """Hand a complete statement in; say who is awaited for another."""
    statement = draft.statement
    facts = {
        "statement": draft.id,
        "approval": "",
        "version": draft.version,
        "dataset": statement.dataset.id,
        "decision": statement.meaning,
        "not_after": statement.not_after,
        "awaited": draft.awaited,
    }
    if draft.awaited:
        output.facts(facts)
        output.say(
            f"Signed; it counts once {plain(' and '.join(draft.awaited))} signed too:",
            f"  [bold]fedstudy-node cosign {draft.id[:12]}[/]",
        )
        return 0
    signed = signing.finish(draft)
    known = told(lambda: signing.hand_in(signed, portal))
    output.facts(facts | {"approval": Approvals(signing.home).find(draft.id).portal_id})
    output.say(
        f"Signed as {statement.meaning}: {plain(draft.script)}, until {moment(statement.not_after)} ({draft.id[:12]}).",
        _TOLD[known],
    )
    return 0


def revoke(arguments: Namespace, output: Output) -> int:
    """Stop one approval, or all, from counting at this node; then tell the portal."""
    home = Home.open(arguments.home)
    approvals = Approvals(home)
    if arguments.all == bool(arguments.approval):
        raise NodeError("E_NOT_FOUND", "Say which approval to revoke, or --all.")
    chosen = approvals.all() if arguments.all else [approvals.find(arguments.approval)]
    if arguments.all:
        approvals.revoke_all()
    for signed in chosen:
        approvals.revoke(signed.statement_id, arguments.reason)
    with closing(Ledger(home.ledger_path)) as ledger, open_portal(home, ledger) as portal:
        for signed in chosen:
            ledger.journal.append(
                "revoked", signed.statement_id, {"about": signed.script, "reason": arguments.reason, "by": "console"}
            )
        output.say(f"Taken back here: {', '.join(plain(signed.script) for signed in chosen) or 'nothing'}.")
        signing = Signing(home, ledger)
        known = all(told(partial(signing.tell_revocation, signed, portal)) for signed in chosen)
    output.facts({"revoked": [signed.statement_id for signed in chosen], "portal_told": known})
    output.say(_TOLD[known])
    return 0


def limits_of(arguments: Namespace) -> Limits:
    """Return the limits that a command line sets."""
    return Limits(
        days=arguments.days,
        rounds=arguments.max_rounds,
        min_sites=arguments.min_sites,
        min_rows=arguments.min_rows,
        wall_s=arguments.max_seconds,
        memory_mb=arguments.max_memory,
        max_norm=arguments.max_norm,
        sandbox_min=arguments.sandbox_min,
    )


def _dataset(home: Home, text: str | None, study: str) -> Dataset:
    """Return the dataset that was named, or the only one of the study."""
    datasets = Datasets(home)
    if text:
        return datasets.find(text, study=study)
    offered = [item for item in datasets.all() if item.study == study]
    if len(offered) != 1:
        raise NodeError("E_DATASET", "Say which dataset is meant: --dataset.")
    return offered[0]

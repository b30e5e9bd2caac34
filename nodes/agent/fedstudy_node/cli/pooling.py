"""`pool ...`: what this site shares with a study's pool node, signed by two of its people; what a pool node holds."""

from argparse import Namespace
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from fedstudy_core.counts import counted
from fedstudy_core.errors import Refusal
from fedstudy_core.pooling.consent import Consent
from fedstudy_core.times import parse_time
from fedstudy_node.cli.output import Output, moment, plain, read_passphrase
from fedstudy_node.connecting import open_portal, told
from fedstudy_node.datasets import Datasets
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.pooling.actions import in_words
from fedstudy_node.pooling.consenting import Consenting
from fedstudy_node.pooling.deidentify import Report, check_groups
from fedstudy_node.pooling.leaving import would_leave
from fedstudy_node.pooling.offers import destination, words_of
from fedstudy_node.pooling.papers import Draft, Given, Papers
from fedstudy_node.pooling.sending import Sending
from fedstudy_node.pooling.terms import Wish, lowers, read_wish, terms_of
from fedstudy_node.pooling.vault import Vault
from fedstudy_node.portal import Portal
from fedstudy_node.studies import find_study
from fedstudy_node.trust import Trust

_SHORT = 12
# Of rows for training that are not pooled.
IDLE = "what stays trains nothing while other rows are pooled: this node then only tests models"


def recovery_key(arguments: Namespace, output: Output) -> int:
    """Make the site's own key: what it shares it can always open itself."""
    home = Home.open(arguments.home)
    file = arguments.file.expanduser().absolute()
    recipient = Papers(home).make_recovery_key(file)
    with closing(Ledger(home.ledger_path)) as ledger:
        ledger.journal.append("pool_recovery_key_made", recipient[:64], {})
    output.facts({"recipient": recipient, "file": str(file)})
    output.say(
        f"The secret is in {plain(file)}: keep it where backups of this site's records are kept, not at this node.",
        f"Public part: {recipient}",
    )
    return 0


def preview(arguments: Namespace, output: Output) -> int:
    """Show what would leave; nothing is signed, sent or written."""
    home = Home.open(arguments.home)
    wish = read_wish(arguments.file)
    with closing(Ledger(home.ledger_path)) as ledger, open_portal(home, ledger) as portal:
        study = find_study(portal, arguments.study)
    report = _report(home, wish, study)
    enough = _is_enough(report, wish)
    output.facts(_report_facts(report) | {"enough": enough})
    _show_report(output, report, wish)
    output.say(
        "This may leave once two people signed."
        if enough
        else f"[bold]This would be refused[/]: a group has fewer than {wish.k.least} rows. Use wider bands."
    )
    return 0


def consent(arguments: Namespace, output: Output) -> int:
    """Write a consent, show it, sign it; it counts once a second person signed."""
    home = Home.open(arguments.home)
    home.enrolled()
    wish, trust = read_wish(arguments.file), Trust(home)
    people = [trust.find(arguments.approver, kind="console"), trust.find(arguments.second, kind="console")]
    with closing(Ledger(home.ledger_path)) as ledger, open_portal(home, ledger) as portal:
        consenting = Consenting(home, ledger)
        study = find_study(portal, arguments.study)
        report = _report(home, wish, study)
        check_groups(report, wish.k)
        where = destination(portal, home.enrolled(), str(study["id"]))
        dataset = Datasets(home).find(wish.dataset, study=str(study["id"]))
        draft = consenting.begin(wish, str(study["id"]), dataset, where, people)
        if not arguments.yes:
            _show_report(output, report, wish)
            _show_consent(output, draft.consent, where.site_name)
            output.confirm("Sign that these rows may leave?")
        key = trust.console_key(people[0], read_passphrase(arguments.passphrase_file))
        draft = consenting.add(draft, people[0].id, key.sign(draft.to_sign))
        return _conclude(consenting, portal, draft, output)


def cosign(arguments: Namespace, output: Output) -> int:
    """Sign a consent that another person of this site signed before; without one, list what waits."""
    home = Home.open(arguments.home)
    home.enrolled()
    trust = Trust(home)
    with closing(Ledger(home.ledger_path)) as ledger, open_portal(home, ledger) as portal:
        consenting = Consenting(home, ledger)
        if arguments.consent is None:
            return _list_waiting(consenting.papers, output)
        draft = consenting.papers.draft(arguments.consent)
        signer = trust.find(arguments.approver or draft.awaited[0], kind="console")
        if not arguments.yes:
            study = find_study(portal, draft.consent.study)
            dataset = Datasets(home).get(draft.consent.dataset.id)
            _show_report(output, would_leave(home, dataset, terms_of(draft.consent), study).report, draft.consent)
            _show_consent(output, draft.consent, "")
            output.confirm("Sign that these rows may leave?")
        key = trust.console_key(signer, read_passphrase(arguments.passphrase_file))
        draft = consenting.add(draft, signer.id, key.sign(draft.to_sign))
        return _conclude(consenting, portal, draft, output)


def send(arguments: Namespace, output: Output) -> int:
    """Seal the rows of the study's consent and hand them in; go on where an earlier attempt stopped."""
    home = Home.open(arguments.home)
    home.enrolled()
    with closing(Ledger(home.ledger_path)) as ledger, open_portal(home, ledger) as portal:
        consenting, sending = Consenting(home, ledger), Sending(home, ledger)
        study = find_study(portal, arguments.study)
        given = consenting.papers.of_study(str(study["id"]))
        if datetime.now(UTC) >= parse_time(given.consent.not_after):
            raise Refusal("E_CONSENT_EXPIRED")
        given = consenting.hand_in(given, portal)
        before = given.sent
        given = sending.send(sending.prepare(given, study), portal)
    output.facts({"consent": given.consent_id, "sha256": given.sha256, "sent": given.sent})
    output.say("The portal had it already." if before else f"Sent, sealed for the pool node: {given.sha256[:_SHORT]}.")
    return 0


def status(arguments: Namespace, output: Output) -> int:
    """Show this site's consents, and what this node does as a pool node."""
    home = Home.open(arguments.home)
    papers, vault = Papers(home), Vault(home)
    given = papers.all()
    keys = vault.keys()
    pooled = [dataset for dataset in Datasets(home).all() if dataset.config.get("pooled") is True]
    output.facts(
        {
            "consents": [_given_facts(item) for item in given],
            "keys": [
                {"study": study, "site": site, "recipient": key.recipient, "words": words_of(key.recipient)}
                for (study, site), key in keys.items()
            ],
            "tables": [{"id": item.id, "study": item.study, "rows_band": item.rows_band} for item in pooled],
            "deletions_waiting": len(vault.deletions()),
        }
    )
    output.table(
        "What this site shares",
        ("Consent", "Study", "Level", "Columns", "Until", "State"),
        [
            (
                item.consent_id[:_SHORT],
                item.study,
                item.consent.level,
                len(item.consent.columns),
                moment(item.consent.not_after),
                _state(item),
            )
            for item in given
        ],
    )
    if keys or pooled:
        _show_pool(output, [(study, site, words_of(key.recipient)) for (study, site), key in keys.items()])
        rows = [(item.study, item.rows_band, item.fingerprint[:_SHORT]) for item in pooled]
        output.table("Pooled tables of this node, in memory", ("Study", "Rows", "Fingerprint"), rows)
    return 0


def revoke(arguments: Namespace, output: Output) -> int:
    """Take a consent back here, at once; then tell the portal, and by it the pool node."""
    home = Home.open(arguments.home)
    with closing(Ledger(home.ledger_path)) as ledger, open_portal(home, ledger) as portal:
        consenting = Consenting(home, ledger)
        given = _to_revoke(consenting.papers, portal, arguments.study, delete=arguments.delete)
        given = consenting.take_back(given, delete=arguments.delete, reason=arguments.reason)
        known = told(lambda: consenting.tell_revocation(given, portal))
    output.facts({"consent": given.consent_id, "delete": arguments.delete, "portal_told": known})
    output.say(
        f"Taken back here: {given.consent_id[:_SHORT]}.",
        "The portal was told: the pool node stops using the rows within a minute."
        if known
        else "The portal is away; the agent tells it as soon as it answers.",
    )
    return 0


def _to_revoke(papers: Papers, portal: Portal, text: str, *, delete: bool) -> Given:
    """Return the consent that is meant. One that was taken back can still be asked to be deleted."""
    for given in papers.all():
        if text == given.study or (len(text) >= 8 and given.consent_id.startswith(text)):
            return _standing(given, delete=delete)
    study = str(find_study(portal, text)["id"])
    for given in papers.all():
        if given.study == study:
            return _standing(given, delete=delete)
    raise Refusal("E_NO_CONSENT")


def _standing(given: Given, *, delete: bool) -> Given:
    if given.revocation and not delete:
        raise Refusal("E_CONSENT_REVOKED")
    return given


def _conclude(consenting: Consenting, portal: Portal, draft: Draft, output: Output) -> int:
    """Hand a complete consent in; say who is awaited for another."""
    facts = {"consent": draft.id, "awaited": draft.awaited, "not_after": draft.consent.not_after}
    if draft.awaited:
        output.facts(facts)
        output.say(
            f"Signed; it counts once {plain(' and '.join(draft.awaited))} signed too:",
            f"  [bold]fedstudy-node pool cosign {draft.id[:_SHORT]}[/]",
        )
        return 0
    given = consenting.finish(draft)
    known = told(lambda: consenting.hand_in(given, portal))
    output.facts(facts | {"portal_told": known})
    output.say(
        f"Consented until {moment(draft.consent.not_after)} ({draft.id[:_SHORT]}).",
        "The portal was told. Send the rows by `fedstudy-node pool send`."
        if known
        else "The portal is away; the agent tells it as soon as it answers.",
    )
    return 0


def _list_waiting(papers: Papers, output: Output) -> int:
    drafts = papers.drafts()
    output.facts([{"consent": draft.id, "study": draft.consent.study, "awaited": draft.awaited} for draft in drafts])
    output.table(
        "Consents that wait for a second person",
        ("Id", "Study", "Waits for", "Begun"),
        [
            (draft.id[:_SHORT], draft.consent.study, ", ".join(draft.awaited), moment(draft.begun_at))
            for draft in drafts
        ],
    )
    return 0


def _report(home: Home, wish: Wish, study: dict[str, Any]) -> Report:
    dataset = Datasets(home).find(wish.dataset, study=str(study["id"]))
    return would_leave(home, dataset, wish.terms, study).report


def _is_enough(report: Report, wish: Wish) -> bool:
    try:
        check_groups(report, wish.k)
    except Refusal:
        return False
    return True


def _report_facts(report: Report) -> dict[str, Any]:
    return {
        "rows_at_home": report.at_home,
        "rows_for_training": report.training,
        "rows_chosen": report.chosen,
        "rows_suppressed": report.suppressed,
        "rows": report.rows,
        "rows_idle": report.idle,
        "k": report.k,
        "groups": report.groups,
        "rows_in_small_groups": report.too_small,
        "columns": [vars(leaving) for leaving in report.columns],
        "stays": list(report.stays),
    }


def _show_report(output: Output, report: Report, terms: Wish | Consent) -> None:
    output.table(
        "Columns that would leave",
        ("Column", "How", "Type", "Different values"),
        [(leaving.name, leaving.how, leaving.type, leaving.values) for leaving in report.columns],
    )
    lowered = " [bold](fewer than usual)[/]" if lowers(terms.k) else ""
    output.say(
        f"{plain(', '.join(report.stays))} stay here." if report.stays else "",
        f"{report.at_home} rows in the file, {report.training} for training, {report.chosen} fit the conditions;"
        f" {report.suppressed} left out because they stand out.",
        f"[bold]{report.rows} rows would leave.[/] Over {plain(', '.join(terms.k.columns))} the smallest of"
        f" {report.groups} groups has {report.k} rows; {terms.k.least} are asked for{lowered}.",
        f"{counted(report.idle, 'row')} for training would stay; {IDLE}." if report.idle else "",
    )


def _show_consent(output: Output, signed: Consent, pool_site: str) -> None:
    output.table(
        "What you sign",
        ("", ""),
        [
            ("Level", f"{signed.level}: {'some' if signed.level == 'F3' else 'all'} rows for training leave this site"),
            ("Goes to", f"the pool node {signed.pool.node} {f'at {pool_site}' if pool_site else ''}"),
            ("Its key, in words", f"{words_of(signed.pool.recipient)} (compare them with its people, by telephone)"),
            ("Rows", " and ".join(map(str, signed.filter)) or "all for training"),
            ("Other rows for training", f"stay; {IDLE}"),
            ("Columns", "; ".join(f"{name}: {in_words(signed.profile[name])}" for name in signed.columns)),
            ("Lawful by", f"{signed.legal_basis.gdpr6}; {signed.legal_basis.gdpr9} {signed.legal_basis.note}"),
            ("For", "this study only"),
            ("Used until", moment(signed.not_after)),
            ("Destroyed at the latest", moment(signed.retention_until)),
            ("Signed by", "; ".join(f"{signer.name}, {signer.role}" for signer in signed.approvers)),
        ],
    )


def _show_pool(output: Output, rows: list[tuple[str, str, str]]) -> None:
    output.table("Keys of this pool node", ("Study", "Site", "In words, to be compared with the site's people"), rows)


def _given_facts(given: Given) -> dict[str, Any]:
    return {
        "consent": given.consent_id,
        "study": given.study,
        "level": given.consent.level,
        "columns": given.consent.columns,
        "not_after": given.consent.not_after,
        "sha256": given.sha256,
        "state": _state(given),
    }


def _state(given: Given) -> str:
    if given.revocation:
        return "taken back" if given.revocation_told or not given.told else "taken back, the portal is not told yet"
    if given.sent:
        return "sent"
    return "consented" if given.told else "consented, the portal is not told yet"

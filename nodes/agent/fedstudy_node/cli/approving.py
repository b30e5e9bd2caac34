"""`review`, `approve`, `reject`, `revoke`: what this site says about scripts, signed by its own key."""

import difflib
from argparse import Namespace
from base64 import b64encode
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from rich.syntax import Syntax

from fedstudy_core import bundle as bundles
from fedstudy_core.bundle import Bundle
from fedstudy_core.revocation import Revocation, sign_revocation
from fedstudy_core.statement import Statement, sign_statement, statement_id
from fedstudy_node.approvals import Approvals, Limits, Signed, build_statement
from fedstudy_node.cli.connecting import open_portal
from fedstudy_node.cli.output import Output, plain, read_passphrase
from fedstudy_node.datasets import Dataset, Datasets
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home, now_text, write_private
from fedstudy_node.ledger import Ledger
from fedstudy_node.portal import Portal

ROLE = "site admin"
_LONGEST_SHOWN = 200_000
_LEXERS = {".py": "python", ".toml": "toml", ".md": "markdown", ".json": "json"}


@dataclass(frozen=True)
class _Offer:
    """A script version as it came: the portal's row, the bytes, and what this node read in them."""

    row: dict[str, Any]
    fab: bytes
    bundle: Bundle

    @property
    def title(self) -> str:
        return f"{self.row['script']} {self.row['number']} for “{self.row['study_title']}”"


def review(arguments: Namespace, output: Output) -> int:
    """List the scripts that were offered, or show one: what it asks for, its code, what changed."""
    home = Home.open(arguments.home)
    with closing(Ledger(home.ledger_path)) as ledger, open_portal(home, ledger) as portal:
        if arguments.version is None:
            _show_rows(output, portal.scripts())
            return 0
        offer = _fetch(portal, arguments.version)
    output.facts(_facts(offer))
    _show(output, home, offer)
    return 0


def approve(arguments: Namespace, output: Output) -> int:
    """Sign that a script may run on a dataset of this node, under limits."""
    return _sign(arguments, output, "approved")


def reject(arguments: Namespace, output: Output) -> int:
    """Sign that a script may not run here."""
    return _sign(arguments, output, "rejected")


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
    output.say(f"{len(chosen)} approval(s) no longer count at this node.")
    with closing(Ledger(home.ledger_path)) as ledger, open_portal(home, ledger) as portal:
        for signed in chosen:
            if signed.portal_id:
                envelope = _revocation(home, arguments, signed)
                portal.revoke_approval(signed.portal_id, b64encode(envelope).decode("ascii"))
    output.facts({"revoked": [signed.statement_id for signed in chosen]})
    output.say("The portal was told.")
    return 0


def _sign(arguments: Namespace, output: Output, decision: str) -> int:
    """Write a statement from what this node holds, show it, sign it, keep it, hand it in."""
    home = Home.open(arguments.home)
    settings = home.enrolled()
    with closing(Ledger(home.ledger_path)) as ledger, open_portal(home, ledger) as portal:
        offer = _fetch(portal, arguments.version)
        dataset = _dataset(home, arguments.dataset, str(offer.row["study"]))
        statement = build_statement(
            settings=settings,
            study=str(offer.row["study"]),
            bundle=offer.bundle,
            dataset=dataset,
            limits=_limits(arguments),
            decision=decision,
            approver={"name": arguments.approver or settings.name, "role": ROLE},
            sequence=ledger.next_number("statement"),
            epoch=Approvals(home).revocations().epoch,
        )
        if not arguments.yes:
            _show(output, home, offer)
            _show_statement(output, statement, dataset)
            output.confirm(f"Sign this as “{decision}”?")
        key = home.approval_key(read_passphrase(arguments.passphrase_file))
        signed = _hand_in(home, portal, offer, statement, sign_statement(statement, key))
    facts = {
        "statement": signed.statement_id,
        "approval": signed.portal_id,
        "version": signed.version,
        "dataset": dataset.id,
        "decision": decision,
        "not_after": signed.not_after,
    }
    output.facts(facts)
    output.say(f"Signed as {decision}: {plain(offer.title)}, until {signed.not_after} ({signed.statement_id[:12]}).")
    return 0


def _hand_in(home: Home, portal: Portal, offer: _Offer, statement: Statement, envelope: bytes) -> Signed:
    """Keep a signed statement with its script, and give it to the portal."""
    signed = Signed(
        statement_id=statement_id(envelope),
        envelope=envelope,
        script=offer.title,
        version=str(offer.row["version"]),
        decision=statement.meaning,
        study=statement.study,
        dataset=statement.dataset.id,
        script_sha256=offer.bundle.sha256,
        not_after=statement.not_after,
    )
    approvals = Approvals(home)
    approvals.keep(signed)
    write_private(home.bundles_path / f"{offer.bundle.sha256}.fab", offer.fab)
    portal_id = portal.add_approval(
        version=signed.version, dataset=signed.dataset, envelope=b64encode(envelope).decode("ascii")
    )
    signed = replace(signed, portal_id=portal_id)
    approvals.keep(signed)
    return signed


def _limits(arguments: Namespace) -> Limits:
    return Limits(
        days=arguments.days,
        rounds=arguments.max_rounds,
        min_sites=arguments.min_sites,
        wall_s=arguments.max_seconds,
        memory_mb=arguments.max_memory,
    )


def _fetch(portal: Portal, text: str) -> _Offer:
    """Download a version, and believe of it only what its bytes say."""
    rows = [row for row in portal.scripts() if _is_version(row, text)]
    if len(rows) != 1:
        raise NodeError("E_NOT_FOUND", f"The portal offers this site no script version {text!r}.")
    fab = portal.bundle(str(rows[0]["version"]))
    bundle = bundles.inspect(fab)
    if bundle.sha256 != rows[0]["sha256"]:
        raise NodeError("E_BUNDLE", "The bundle that came is not the one that the portal lists.")
    return _Offer(rows[0], fab, bundle)


def _is_version(row: dict[str, Any], text: str) -> bool:
    return len(text) >= 8 and (str(row["version"]).startswith(text) or str(row["sha256"]).startswith(text))


def _dataset(home: Home, text: str | None, study: str) -> Dataset:
    """Return the dataset that was named, or the only one of the study; its file must be what was offered."""
    datasets = Datasets(home)
    if text:
        dataset = datasets.find(text, study=study)
    else:
        offered = [item for item in datasets.all() if item.study == study]
        if len(offered) != 1:
            raise NodeError("E_DATASET", "Say which dataset is meant: --dataset.")
        dataset = offered[0]
    if datasets.present_fingerprint(dataset) != dataset.fingerprint:
        raise NodeError(
            "E_DATASET", f"The file of dataset {dataset.name!r} changed since it was offered: add it again."
        )
    return dataset


def _revocation(home: Home, arguments: Namespace, signed: Signed) -> bytes:
    """Sign a revocation by the node's key, and by the approval key where a passphrase is given."""
    revocation = Revocation(
        statement=signed.statement_id, node=home.enrolled().node, reason=arguments.reason, revoked_at=now_text()
    )
    keys = [home.identity_key()]
    if arguments.passphrase_file is not None:
        keys.append(home.approval_key(read_passphrase(arguments.passphrase_file)))
    return sign_revocation(revocation, keys)


def _facts(offer: _Offer) -> dict[str, Any]:
    return {
        "version": offer.row["version"],
        "study": offer.row["study"],
        "script": offer.row["script"],
        "number": offer.row["number"],
        "sha256": offer.bundle.sha256,
        "size": offer.bundle.size,
        "files": [{"path": file.path, "sha256": file.sha256, "size": file.size} for file in offer.bundle.files],
        "parameters": [parameter.model_dump(exclude_none=True) for parameter in offer.bundle.parameters],
        "approval": offer.row.get("approval"),
    }


def _show_rows(output: Output, rows: list[dict[str, Any]]) -> None:
    output.facts(rows)
    output.table(
        "Scripts offered to this site",
        ("Version", "Study", "Script", "Number", "SHA-256", "Submitted", "Approval here"),
        [
            (
                row["version"],
                row["study_title"],
                row["script"],
                row["number"],
                str(row["sha256"])[:12],
                row["submitted_at"],
                "signed" if row.get("approval") else "-",
            )
            for row in rows
        ],
    )


def _show(output: Output, home: Home, offer: _Offer) -> None:
    """Show what a person needs to decide: parameters, then the code, or what changed in it."""
    if output.as_json:
        return
    output.say(f"[bold]{plain(offer.title)}[/]", f"SHA-256 {offer.bundle.sha256}, {offer.bundle.size} bytes")
    output.table(
        "What a run may set",
        ("Parameter", "Default", "From", "To", "Choices", "Meaning"),
        [
            (
                item.name,
                item.default,
                item.min,
                item.max,
                item.choices and ", ".join(map(str, item.choices)),
                item.description,
            )
            for item in offer.bundle.parameters
        ],
    )
    before = _last_approved(home, offer)
    for file in offer.bundle.files:
        text = _text(offer.fab, file.path)
        if before is not None:
            text = _changes(_text_if_there(before, file.path), text, file.path)
            lexer = "diff"
        else:
            lexer = next((name for end, name in _LEXERS.items() if file.path.endswith(end)), "text")
        if text:
            output.say("", f"[bold]{plain(file.path)}[/]", Syntax(text[:_LONGEST_SHOWN], lexer, theme="ansi_dark"))
    if before is not None:
        output.say("", "Only what changed since the version approved before is shown.")


def _show_statement(output: Output, statement: Statement, dataset: Dataset) -> None:
    output.table(
        "What you sign",
        ("", ""),
        [
            ("Dataset", f"{dataset.name} ({dataset.rows_band} rows, {dataset.fingerprint[:12]})"),
            ("Rounds of a run", f"at most {statement.rounds}"),
            ("Sites in a run", f"at least {statement.privacy.min_sites}"),
            ("Work on one message", f"at most {statement.limits.wall_s} s, {statement.limits.memory_mb} MiB"),
            ("Leaves the site", f"arrays and metrics, at most {statement.outputs.max_bytes} bytes a reply"),
            ("Good until", statement.not_after),
            ("Signed by", f"{statement.approver.name}, {statement.approver.role}"),
        ],
    )


def _last_approved(home: Home, offer: _Offer) -> bytes | None:
    """Return the bundle of the same script that was approved here last, if it was another one."""
    for signed in Approvals(home).all():
        file = home.bundles_path / f"{signed.script_sha256}.fab"
        same_script = signed.study == offer.row["study"] and signed.decision == "approved"
        if same_script and signed.script_sha256 != offer.bundle.sha256 and file.exists():
            content = file.read_bytes()
            return content if bundles.inspect(content).name == offer.bundle.name else None
    return None


def _text(fab: bytes, path: str) -> str:
    return bundles.read_file(fab, path).decode("utf-8", errors="replace")


def _text_if_there(fab: bytes, path: str) -> str:
    there = {file.path for file in bundles.inspect(fab).files}
    return _text(fab, path) if path in there else ""


def _changes(before: str, after: str, path: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"{path} (approved)", f"{path} (this version)", lineterm=""
    )
    return "\n".join(lines)

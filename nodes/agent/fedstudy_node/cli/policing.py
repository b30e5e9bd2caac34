"""`policy`: standing policies of this site, and what would happen to a script here."""

import tomllib
from argparse import Namespace
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fedstudy_core import dsse
from fedstudy_core.policy import PAYLOAD_TYPE, Policy, policy_payload
from fedstudy_node.cli.approving import limits_of
from fedstudy_node.cli.output import Output, moment, read_passphrase
from fedstudy_node.datasets import Dataset, Datasets
from fedstudy_node.errors import NodeError
from fedstudy_node.explain import Explanation, Question
from fedstudy_node.explain import explain as explain_question
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.offers import Offers
from fedstudy_node.policies import Policies, StandingPolicy, build_policy
from fedstudy_node.revoking import Revoking, build_revocation
from fedstudy_node.signatures import signed_by
from fedstudy_node.signing import check_people, check_unchanged
from fedstudy_node.trust import Trust
from fedstudy_node.walls import choose_sandbox

REFUSED = 1
_SHORTEST = 8
_SHA256_LENGTH = 64


def add(arguments: Namespace, output: Output) -> int:
    """Sign a policy: the node admits the named scripts for a dataset by itself, within limits."""
    home = Home.open(arguments.home)
    home.enrolled()
    dataset = Datasets(home).find(arguments.dataset)
    trust = Trust(home)
    signer = trust.find(arguments.approver, kind="console") if arguments.approver else trust.on_console()
    people = [signer, *([trust.find(arguments.second, kind="console")] if arguments.second else [])]
    check_people(dataset, people)
    check_unchanged(Datasets(home), dataset)
    scripts = [_sha256(home, text, dataset) for text in arguments.script]
    with closing(Ledger(home.ledger_path)) as ledger:
        policy = build_policy(
            home,
            dataset=dataset,
            limits=limits_of(arguments),
            scripts=scripts,
            approvers=[{"key": entry.id, "name": entry.name, "role": entry.role} for entry in people],
            sequence=ledger.next_number("statement"),
        )
        _show(policy, dataset, output)
        if not arguments.yes:
            output.confirm("Sign this policy?")
        payload = policy_payload(policy)
        to_sign = dsse.pre_authentication(PAYLOAD_TYPE, payload)
        files = (arguments.passphrase_file, arguments.second_passphrase_file)
        signatures = {
            entry.id: trust.console_key(entry, read_passphrase(file)).sign(to_sign)
            for entry, file in zip(people, files, strict=False)
        }
        kept = Policies(home).keep(payload, signatures)
        ledger.journal.append("policy_in_force", kept.id, {"scripts": len(kept.policy.scripts)})
    output.facts(_facts(kept))
    output.say(f"The policy {kept.id[:12]} is in force until {moment(policy.not_after)}.")
    return 0


def _show(policy: Policy, dataset: Dataset, output: Output) -> None:
    output.table(
        "What you sign: the node admits these scripts without asking again",
        ("", ""),
        [
            *[("Script", sha256) for sha256 in policy.scripts],
            ("Dataset", dataset.name),
            ("Rounds of a run", f"at most {policy.rounds}"),
            ("Sites in a run", f"at least {policy.privacy.min_sites}"),
            ("Rows behind an answer", f"at least {policy.privacy.min_rows}"),
            ("Work on one message", f"at most {policy.limits.wall_s} s, {policy.limits.memory_mb} MiB"),
            ("Sandbox", f"{policy.sandbox_min} or stronger"),
            ("Good until", moment(policy.not_after)),
            ("Signed by", signed_by(policy, moment)),
        ],
    )


def show(arguments: Namespace, output: Output) -> int:
    """List the policies in force."""
    policies = Policies(Home.open(arguments.home)).in_force()
    output.facts([_facts(kept) for kept in policies])
    output.table(
        "Standing policies in force",
        ("Id", "Dataset", "Scripts", "Until", "Signed by"),
        [
            (
                kept.id[:12],
                kept.policy.dataset.id,
                ", ".join(sha256[:12] for sha256 in kept.policy.scripts),
                moment(kept.policy.not_after),
                signed_by(kept.policy, moment),
            )
            for kept in policies
        ],
    )
    return 0


def revoke(arguments: Namespace, output: Output) -> int:
    """Take a policy back, and with it what the node signed under it. Needs no passphrase."""
    home = Home.open(arguments.home)
    text = arguments.policy
    found = [kept for kept in Policies(home).in_force() if len(text) >= _SHORTEST and kept.id.startswith(text)]
    if len(found) != 1:
        raise NodeError("E_NOT_FOUND", f"No policy {text!r} is in force here: see `fedstudy-node policy list`.")
    revocation = Revoking(home).carry_out(build_revocation(home, found[0].id, arguments.reason), {})
    with closing(Ledger(home.ledger_path)) as ledger:
        ledger.journal.append("revoked", revocation.statement, {"about": "standing policy", "reason": arguments.reason})
    output.facts({"revoked": revocation.statement})
    output.say("The policy, and what this node signed under it, no longer count here.")
    return 0


def explain(arguments: Namespace, output: Output) -> int:
    """Say what would happen to a script here, and why. Returns 0 when it would run, 1 when it would be refused."""
    home = Home.open(arguments.home)
    home.enrolled()
    dataset = Datasets(home).find(arguments.dataset) if arguments.dataset else None
    question = Question(
        fab=_fab(home, arguments.script),
        config=_config(arguments.config),
        dataset=dataset,
        rounds=arguments.rounds,
        sites=arguments.sites,
        phase=arguments.phase,
    )
    with closing(Ledger(home.ledger_path)) as ledger:
        told = explain_question(home, ledger, choose_sandbox(home).report, question)
    output.facts(
        {
            "runs": told.runs,
            "statement": told.statement,
            "policy": told.by_policy,
            "checks": [asdict(check) for check in told.checks],
        }
    )
    output.table(
        "What this node would do, and why",
        ("Check", "Result", "Code", "Why"),
        [(check.name, "holds" if check.holds else "refused", check.code, check.sentence) for check in told.checks],
    )
    output.say(f"[bold]{_verdict(told)}[/]")
    return 0 if told.runs else REFUSED


def _verdict(told: Explanation) -> str:
    if told.runs:
        ground = f"the standing policy {told.by_policy[:12]}" if told.by_policy else f"approval {told.statement[:12]}"
        return f"It would run, under {ground}."
    return f"It would be refused: {next(check.code for check in told.checks if not check.holds)}."


def _facts(kept: StandingPolicy) -> dict[str, Any]:
    return {"id": kept.id, **kept.policy.model_dump(mode="json", exclude_none=True)}


def _sha256(home: Home, text: str, dataset: Dataset) -> str:
    """Return the hash of a script that is named by it, or of an offered version of the dataset's study."""
    if len(text) == _SHA256_LENGTH and not set(text) - set("0123456789abcdef"):
        return text
    offer = Offers(home).fetch(text, None)
    if offer.study != dataset.study:
        raise NodeError("E_STUDY", f"The script {text!r} is for another study than the dataset.")
    return offer.bundle.sha256


def _fab(home: Home, text: str) -> bytes:
    """Return a script's bytes: of a file, or of a version that this node fetched before."""
    file = Path(text)
    return file.read_bytes() if file.is_file() else Offers(home).fetch(text, None).fab


def _config(words: Sequence[str]) -> dict[str, Any]:
    """Read `name=value` as Flower does: the value is TOML; what is no TOML is text. Raises NodeError (E_RUN_CONFIG)."""
    config: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise NodeError("E_RUN_CONFIG", f"{word!r} is not of the form name=value.")
        try:
            config[name] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            config[name] = text
    return config

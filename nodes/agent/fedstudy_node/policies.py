"""The site's standing policies: which scripts the node admits by itself, for which dataset, under which limits."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fedstudy_core import canonical, dsse
from fedstudy_core.bundle import Bundle
from fedstudy_core.errors import Refusal
from fedstudy_core.levels import allows, phases_at
from fedstudy_core.policy import PAYLOAD_TYPE, Policy, check_policy, verify_policy
from fedstudy_core.statement import STANDING_POLICY, read_unverified, sign_statement, statement_id
from fedstudy_core.times import format_time
from fedstudy_node.approvals import BEGINS_BEFORE, Approvals, Limits, Signed, build_statement, terms
from fedstudy_node.datasets import Dataset, Datasets
from fedstudy_node.home import Home, write_private
from fedstudy_node.ledger import Ledger
from fedstudy_node.levels import Levels
from fedstudy_node.offers import Offer
from fedstudy_node.trust import Trust

_ID_LENGTH = 64


@dataclass(frozen=True)
class StandingPolicy:
    """A policy as this node keeps it; `id` is the SHA-256 of what was signed."""

    id: str
    envelope: bytes
    policy: Policy


@dataclass
class Policies:
    """The signed policies in a node's home."""

    home: Home

    def envelope(self, policy_id: str) -> bytes:
        """Return a policy as it was signed. Raises Refusal (E_POLICY)."""
        file = self._folder / f"{policy_id}.json"
        if len(policy_id) != _ID_LENGTH or not file.is_file():
            raise Refusal("E_POLICY", "This node does not have the standing policy that the approval names.")
        envelope = file.read_bytes()
        if statement_id(envelope) != policy_id:
            raise Refusal("E_POLICY", "The standing policy's file holds another one.")
        return envelope

    def keep(self, payload: bytes, signatures: Mapping[str, bytes]) -> StandingPolicy:
        """Keep a policy that everybody whom it names signed. Raises Refusal (the codes of `verify_policy`)."""
        envelope = dsse.assemble(PAYLOAD_TYPE, payload, signatures)
        policy = verify_policy(envelope, Trust(self.home).approvers())
        kept = StandingPolicy(canonical.digest(payload), envelope, policy)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_private(self._folder / f"{kept.id}.json", envelope)
        return kept

    def in_force(self) -> list[StandingPolicy]:
        """Return the policies that are signed by people still trusted here, neither revoked nor over."""
        revoked, moment = Approvals(self.home).revocations(), format_time(datetime.now(UTC))
        found = []
        for file in sorted(self._folder.glob("*.json")):
            kept = self._verified(file.stem, file.read_bytes())
            if kept is None or kept.id in revoked.statements or kept.policy.revocation_epoch < revoked.epoch:
                continue
            if kept.policy.not_before <= moment < kept.policy.not_after:
                found.append(kept)
        return found

    def _verified(self, policy_id: str, envelope: bytes) -> StandingPolicy | None:
        """Return a policy, or None when one of its signers is no longer trusted."""
        try:
            policy = verify_policy(envelope, Trust(self.home).approvers())
        except Refusal:
            return None
        return StandingPolicy(policy_id, envelope, policy)

    @property
    def _folder(self) -> Path:
        return self.home.path / "policies"


def build_policy(
    home: Home,
    *,
    dataset: Dataset,
    limits: Limits,
    scripts: Sequence[str],
    approvers: Sequence[Mapping[str, str]],
    sequence: int,
) -> Policy:
    """Write a policy for people to sign; it allows what the site's level does. `scripts` are SHA-256 of bundles."""
    limits = limits.at_least(dataset.floor)
    limits.check()
    settings = home.enrolled()
    written = datetime.now(UTC).replace(microsecond=0)
    begins = written - BEGINS_BEFORE
    return Policy.model_validate(
        {
            "v": 1,
            "study": dataset.study,
            "site": settings.site,
            "node": settings.node,
            "scripts": sorted(set(scripts)),
            "dataset": {"id": dataset.id, "fingerprint": dataset.fingerprint},
            "rounds": limits.rounds,
            **terms(limits, None, phases_at(Levels(home).of(dataset.study))),
            "sandbox_min": limits.sandbox_min,
            "meaning": STANDING_POLICY,
            "approvers": [dict(approver) for approver in approvers],
            "nonce": secrets.token_hex(16),
            "sequence": sequence,
            "revocation_epoch": Approvals(home).revocations().epoch,
            "issued_at": format_time(written),
            "not_before": format_time(begins),
            "not_after": format_time(begins + timedelta(days=limits.days)),
        }
    )


def answered(home: Home) -> set[tuple[str, str]]:
    """Return the scripts (SHA-256) and datasets that no policy need admit: this site has an answer about them.

    A person's answer counts whatever became of it. The node's own under a policy counts while it lets the script run,
    and when somebody took back just that one. So a later policy, and one under new keys of the node, admits again.
    """
    return {(signed.script_sha256, signed.dataset) for signed in Approvals(home).all() if _answers(home, signed)}


def _answers(home: Home, signed: Signed) -> bool:
    statement = read_unverified(signed.envelope)
    if statement.policy is None:
        return True
    revoked = Approvals(home).revocations()
    if statement.revocation_epoch < revoked.epoch or statement.policy in revoked.statements:
        return False
    if signed.statement_id in revoked.statements:
        return True
    by_present_key = {signer.key for signer in statement.approvers} <= Trust(home).by_policy().keys()
    return by_present_key and format_time(datetime.now(UTC)) < statement.not_after


def admit(home: Home, ledger: Ledger, offer: Offer, kept: StandingPolicy) -> Signed:
    """Sign a script under a standing policy, by the node's own key, and keep the statement.

    Raises:
        FedStudyError: E_POLICY when the policy does not cover the script; E_DATASET when the dataset is gone.
    """
    envelope = sign_under(home, kept, bundle=offer.bundle, study=offer.study, sequence=ledger.next_number("statement"))
    statement = read_unverified(envelope)
    signed = Signed(
        statement_id=statement_id(envelope),
        envelope=envelope,
        script=offer.title,
        version=offer.version,
        decision=statement.meaning,
        study=statement.study,
        dataset=statement.dataset.id,
        script_sha256=statement.script.sha256,
        not_after=statement.not_after,
    )
    Approvals(home).keep(signed)
    return signed


def sign_under(home: Home, kept: StandingPolicy, *, bundle: Bundle, study: str, sequence: int) -> bytes:
    """Return the node's own statement about a script under a policy. Raises as `admit`."""
    policy = kept.policy
    revoked = Approvals(home).revocations()
    level = Levels(home).of(study)
    by_node = next(iter(Trust(home).by_policy().values()))
    statement = build_statement(
        settings=home.enrolled(),
        study=study,
        bundle=bundle,
        dataset=Datasets(home).get(policy.dataset.id),
        limits=_limits(policy),
        decision="approved",
        approvers=[{"key": by_node.id, "name": by_node.name, "role": by_node.role}],
        sequence=sequence,
        epoch=policy.revocation_epoch,
        policy=kept.id,
        phases=[phase for phase in policy.outputs.phases if allows(level, phase)],
    )
    statement = statement.model_copy(update={"not_after": policy.not_after})
    check_policy(
        policy,
        statement,
        now=datetime.now(UTC),
        revocation_epoch=revoked.epoch,
        revoked=revoked.statements.keys(),
        identity=kept.id,
    )
    return sign_statement(statement, home.identity_key())


def _limits(policy: Policy) -> Limits:
    return Limits(
        days=1,
        rounds=policy.rounds,
        min_sites=policy.privacy.min_sites,
        min_rows=policy.privacy.min_rows,
        wall_s=policy.limits.wall_s,
        memory_mb=policy.limits.memory_mb,
        max_bytes=policy.outputs.max_bytes,
        max_norm=policy.outputs.max_norm,
        sandbox_min=policy.sandbox_min,
    )

"""A study with a pool node and a site that pools rows; every statement is signed by the keys that the nodes hold."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.utils import timezone

from accounts.models import Site, User
from fedstudy_core import canonical, dsse
from fedstudy_core.dsse import VerifyingKey
from fedstudy_core.keys import generate, key_id, public_from_text, public_text
from fedstudy_core.pooling.consent import Consent
from fedstudy_core.pooling.documents import sign
from fedstudy_core.pooling.statements import ObjectManifest, PoolDeletion, PoolKey, PoolRevocation
from fedstudy_core.times import format_time, parse_time
from nodes.registry.keys import signers
from nodes.registry.models import Node
from nodes.registry.services import confirm_node, set_approvers
from studies.dictionary.models import Dataset
from studies.dictionary.services import publish_dictionary, register_dataset
from studies.enrolment.models import Enrolment
from studies.enrolment.services import accept_invitation, invite_site
from studies.lifecycle.models import Study
from studies.pooling.consents import record_consent
from studies.pooling.models import PoolConsent, PooledObject, PoolNode
from studies.pooling.models import PoolKey as KeyRow
from studies.pooling.objects import SEALED, announce_object, complete_object
from studies.pooling.services import name_pool_node, register_key
from tests.factories.registry import Hardware, pending_node
from tests.factories.studies import VARIABLES, dataset_facts, new_site, new_study

SIGNED_KINDS = (("Ada Admin", "site admin"), ("Stella Steward", "data steward"))
_LETTERS = "023456789acdefghjklmnpqrstuvwxyz"


def recipient() -> str:
    """What looks like an age key; nobody holds it."""
    number, letters = uuid.uuid4().int, []
    for _ in range(58):
        number, place = divmod(number, 32)
        letters.append(_LETTERS[place])
    return "age1" + "".join(letters)


def sealed(size: int = 200) -> bytes:
    """What looks like an encrypted file."""
    return SEALED + uuid.uuid4().bytes * (size // 16)


def now_text(**later: float) -> str:
    return format_time(timezone.now().replace(microsecond=0) + timedelta(**later))


@dataclass
class Member:
    """A site that takes part in a study, its node, and the keys of those who sign there."""

    study: Study
    site: Site
    admin: User
    node: Node
    hardware: Hardware
    dataset: Dataset
    people: dict[str, Ed25519PrivateKey] = field(default_factory=dict)
    recovery: str = field(default_factory=recipient)

    @property
    def itself(self) -> dict[str, VerifyingKey]:
        """The node's own key, by its id."""
        key = public_from_text(self.node.identity_key)
        return {key_id(key): key}

    @property
    def trusted(self) -> dict[str, Any]:
        """Those whose signature counts at the node."""
        return signers(self.node.identity_key, self.node.approvers)

    @property
    def revokers(self) -> dict[str, VerifyingKey]:
        return {name: approver.key for name, approver in self.trusted.items()}


@dataclass
class Pool:
    """A study's pool node, and a site that pools rows there."""

    study: Study
    pi: User
    centre: Member
    member: Member
    pool: PoolNode
    recipient: str
    sequence: int = 0

    def consent(self, **changes: Any) -> bytes:
        """A consent that both people of the site signed."""
        self.sequence += 1
        member = self.member
        approvers = [
            {"key": key_id(member.people[name].public_key()), "name": name, "role": role} for name, role in SIGNED_KINDS
        ]
        values: dict[str, Any] = {
            "v": 1,
            "kind": "consent",
            "study": str(self.study.pk),
            "site": str(member.site.pk),
            "node": str(member.node.pk),
            "pool": {"node": str(self.centre.node.pk), "recipient": self.recipient},
            "recovery": member.recovery,
            "level": "F3",
            "dataset": {"id": str(member.dataset.pk), "fingerprint": member.dataset.fingerprint},
            "columns": ["age", "outcome"],
            "filter": [{"column": "age", "op": ">=", "value": 40}],
            "profile": {"age": {"action": "band", "width": 10}, "outcome": {"action": "keep"}},
            "holdout": {
                "recipe": "stratified",
                "label": {"column": "outcome", "op": "=", "value": True},
                "train": "0.66",
                "seed": 43,
                "complete": ["age", "outcome"],
            },
            "k": {"least": 10, "columns": ["age"], "suppress": True},
            "purpose": "study",
            "legal_basis": {"gdpr6": "1(e)", "gdpr9": "2(j)", "note": "Ethics vote 12/2026"},
            "retention_until": now_text(days=90),
            "meaning": "consented",
            "approvers": approvers,
            "nonce": uuid.uuid4().hex,
            "sequence": self.sequence,
            "issued_at": now_text(),
            "not_after": now_text(days=30),
        }
        return sign(Consent.model_validate({**values, **changes}), [*member.people.values()])

    def give(self, **changes: Any) -> PoolConsent:
        """The site's consent on file."""
        envelope = self.consent(**changes)
        member = self.member
        return record_consent(site=member.site, envelope=envelope, trusted=member.trusted, by=member.node)

    def manifest(self, consent: PoolConsent, content: bytes, **changes: Any) -> bytes:
        """The description of an object, signed by the site's node."""
        values: dict[str, Any] = {
            "study": str(self.study.pk),
            "site": str(self.member.site.pk),
            "node": str(self.member.node.pk),
            "consent": consent.sha256,
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "rows": 80,
            "columns": [["age", "int64"], ["outcome", "bool"]],
            "k": 12,
            "recipients": sorted((consent.statement["pool"]["recipient"], self.member.recovery)),
            "issued_at": now_text(),
        }
        return sign(ObjectManifest.model_validate({**values, **changes}), [self.member.hardware.identity])

    def announce(self, consent: PoolConsent, content: bytes, **changes: Any) -> PooledObject:
        manifest = self.manifest(consent, content, **changes)
        return announce_object(manifest=manifest, trusted=self.member.itself, by=self.member.node)

    def send(self, consent: PoolConsent) -> PooledObject:
        """An object of the site that came whole; its bytes are left out."""
        return complete_object(item=self.announce(consent, sealed()), by=self.member.node)

    def revocation(self, consent: PoolConsent, **changes: Any) -> bytes:
        """A revocation that the site's node signed."""
        values: dict[str, Any] = {
            "study": str(self.study.pk),
            "site": str(self.member.site.pk),
            "node": str(self.member.node.pk),
            "consent": consent.sha256,
            "delete": False,
            "reason": "The patients' council asked for it",
            "nonce": uuid.uuid4().hex,
            "sequence": 99,
            "issued_at": now_text(),
        }
        return sign(PoolRevocation.model_validate({**values, **changes}), [self.member.hardware.identity])

    def deletion(self, consent: PoolConsent, **changes: Any) -> bytes:
        """That all is gone, signed by the pool node."""
        values: dict[str, Any] = {
            "study": str(self.study.pk),
            "site": str(self.member.site.pk),
            "node": str(self.centre.node.pk),
            "consent": consent.sha256,
            "objects": [item.sha256 for item in consent.sent.all()],
            "recipient": self.recipient,
            "reason": "revoked",
            "destroyed_at": now_text(),
        }
        return sign(PoolDeletion.model_validate({**values, **changes}), [self.centre.hardware.identity])

    def table(self, fingerprint: str = "e" * 64) -> Dataset:
        """The pool node's table, registered as its dataset."""
        facts = dataset_facts(fingerprint=fingerprint, rows_band="50-99")
        centre = self.centre
        return register_dataset(study=self.study, site=centre.site, node_id=centre.node.pk, facts=facts, by=centre.node)


def member_of(study: Study, pi: User, *, people: bool = True) -> Member:
    """A site that takes part in a study; two people sign at its node."""
    if not study.dictionary_versions.exists():
        publish_dictionary(study=study, variables=VARIABLES, by=pi)
    site, admin = new_site()
    accept_invitation(enrolment=invite_site(study=study, site=site, by=pi), by=admin)
    node, hardware = pending_node(site, admin)
    node = confirm_node(node=node, words=node.words, by=admin)
    keys = {name: generate() for name, _ in SIGNED_KINDS}
    if people:
        told = [
            {"kind": "console", "name": name, "role": role, "key": public_text(keys[name].public_key())}
            for name, role in SIGNED_KINDS
        ]
        set_approvers(node=node, approvers=told)
    dataset = register_dataset(study=study, site=site, node_id=node.pk, facts=dataset_facts(), by=node)
    node = Node.objects.select_related("site").get(pk=node.pk)
    return Member(study, site, admin, node, hardware, dataset, keys)


def key_statement(pool: Pool, **changes: Any) -> bytes:
    """The pool node's statement that it made a key for the site."""
    values: dict[str, Any] = {
        "study": str(pool.study.pk),
        "site": str(pool.member.site.pk),
        "node": str(pool.centre.node.pk),
        "recipient": pool.recipient,
        "issued_at": now_text(),
    }
    return sign(PoolKey.model_validate({**values, **changes}), [pool.centre.hardware.identity])


def new_pool(*, key: bool = True) -> Pool:
    """A study whose pool node made a key for a site."""
    study, pi = new_study(state="active")
    centre, member = member_of(study, pi), member_of(study, pi)
    named = name_pool_node(study=study, site=centre.site, node=centre.node, node_name=centre.node.name, by=pi)
    pool = Pool(study, pi, centre, member, named, recipient())
    if key:
        register(pool)
    return pool


def register(pool: Pool) -> None:
    """The pool node's key for the site is on file."""
    register_key(
        pool=pool.pool,
        site=pool.member.site,
        recipient=pool.recipient,
        envelope=key_statement(pool),
        trusted=pool.centre.itself,
        by=pool.centre.node,
    )


def enrolment_of(member: Member) -> Enrolment:
    """The member's part in the study."""
    return Enrolment.objects.get(study=member.study, site=member.site)


def statement_on(study: Study, site: Site, node_id: str, dataset: Dataset, key: str) -> dict[str, Any]:
    """What a consent says, for rows that are written without anybody's signature."""
    people = [{"key": "0" * 64, "name": name, "role": role} for name, role in SIGNED_KINDS]
    return {
        "v": 1, "kind": "consent", "study": str(study.pk), "site": str(site.pk), "node": node_id, "level": "F3",
        "pool": {"node": node_id, "recipient": key}, "recovery": recipient(),
        "dataset": {"id": str(dataset.pk), "fingerprint": dataset.fingerprint},
        "columns": ["age", "stenosis"], "filter": [{"column": "age", "op": ">=", "value": 40}],
        "profile": {
            "age": {"action": "band", "width": 10}, "stenosis": {"action": "keep"}, "name": {"action": "drop"},
        },
        "holdout": {"recipe": "stratified", "train": "0.66", "seed": 43},
        "k": {"least": 10, "columns": ["age"], "suppress": False}, "purpose": "study",
        "legal_basis": {"gdpr6": "1(e)", "gdpr9": "2(j)"}, "retention_until": now_text(days=90),
        "approvers": people, "issued_at": now_text(), "not_after": now_text(days=30),
    }  # fmt: skip


def on_file(study: Study, site: Site, node: Node, dataset: Dataset, pi: User) -> PoolConsent:
    """A consent with an object that came, written straight into the database; the pool node is the site's own.

    Its envelope holds the statement, signed by a key that nobody knows.
    """
    pool, _ = PoolNode.objects.get_or_create(
        study=study, defaults={"site": site, "node_id": str(node.pk), "node_name": node.name, "named_by": pi}
    )
    key = KeyRow.objects.create(pool_node=pool, site=site, recipient=recipient(), envelope=b"{}")
    now, statement = timezone.now(), statement_on(study, site, str(node.pk), dataset, key.recipient)
    payload = canonical.dumps(statement)
    consent = PoolConsent.objects.create(
        key=key, study=study, site=site, node_id=str(node.pk), dataset=dataset, level="F3", statement=statement,
        envelope=dsse.sign(Consent.kind_of_payload, payload, [generate()]), sha256=canonical.digest(payload),
        sequence=1, signed_at=now, not_after=parse_time(statement["not_after"]),
        retention_until=parse_time(statement["retention_until"]),
    )  # fmt: skip
    PooledObject.objects.create(
        consent=consent, manifest=b"{}", sha256=uuid.uuid4().hex * 2, size=9_000, rows=80, smallest_group=12,
        columns=[["age", "int64"], ["stenosis", "bool"]], state="complete", completed_at=now,
    )  # fmt: skip
    return consent

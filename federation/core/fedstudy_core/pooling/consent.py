"""The consent: what a site signs so that some of its rows may go to a study's pool node.

Two people sign, a site admin and a data steward, always. It names the pool node's key, the dataset, the columns, the
rows, what is done to them before they leave, why that is lawful, and until when.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from fedstudy_core.approvers import ROLES, Approver
from fedstudy_core.errors import Refusal
from fedstudy_core.pooling.documents import Column, Document, Nonce, Number, Part, Recipient, verify
from fedstudy_core.pooling.profile import Action, Anonymity, Condition, Drop, Holdout
from fedstudy_core.statement import DatasetRef, Identifier, Signer
from fedstudy_core.times import parse_time

MAX_VALIDITY = timedelta(days=366)
PEOPLE = 2
SITE_COLUMN = "site"  # what the pool node adds


class Pool(Part):
    """The pool node, and the key that it made for this study and this site."""

    node: Identifier
    recipient: Recipient


class LegalBasis(Part):
    """Articles 6 and 9 of the GDPR, or what stands in their place; in the site's own words."""

    gdpr6: Annotated[str, Field(min_length=1, max_length=200)]
    gdpr9: Annotated[str, Field(min_length=1, max_length=200)]
    note: Annotated[str, Field(max_length=2000)] = ""


class Consent(Document):
    """Which rows may go where, and on what terms. Times are UTC, ISO 8601, whole seconds.

    Attributes:
        level: F3, the training rows that fit `filter`; F4, all training rows.
        columns: what leaves: the columns of `profile` that are not dropped.
        recovery: the site's own key: it can open what it sent.
        retention_until: the pool node destroys the rows then; after `not_after` it only does not use them.
    """

    kind_of_payload: ClassVar[str] = "application/vnd.fedstudy.pool-consent.v1+json"

    v: Literal[1]
    kind: Literal["consent"]
    study: Identifier
    site: Identifier
    node: Identifier
    pool: Pool
    recovery: Recipient
    level: Literal["F3", "F4"]
    dataset: DatasetRef
    columns: Annotated[list[Column], Field(min_length=1, max_length=2000)]
    filter: Annotated[list[Condition], Field(max_length=100)]
    profile: Annotated[dict[Column, Action], Field(min_length=1, max_length=2000)]
    holdout: Holdout
    k: Anonymity
    purpose: Literal["study"]
    legal_basis: LegalBasis
    retention_until: str
    meaning: Literal["consented"]
    approvers: Annotated[list[Signer], Field(min_length=PEOPLE, max_length=PEOPLE)]
    nonce: Nonce
    sequence: Number
    issued_at: str
    not_after: str

    @model_validator(mode="after")
    def _fits(self) -> Self:
        leaving = {name for name, action in self.profile.items() if not isinstance(action, Drop)}
        if len(set(self.columns)) != len(self.columns) or set(self.columns) != leaving or SITE_COLUMN in leaving:
            raise ValueError("columns are those of the profile that leave, each once, none of the pool node's")
        if not set(self.k.columns) <= leaving:
            raise ValueError("quasi-identifiers are columns that leave")
        if (self.level == "F3") != bool(self.filter):
            raise ValueError("F3 names a subset, F4 takes all training rows")
        if self.recovery == self.pool.recipient:
            raise ValueError("the site's own key is not the pool node's")
        return self

    @property
    def recipients(self) -> list[str]:
        """The keys that what leaves is sealed for, in order."""
        return sorted((self.pool.recipient, self.recovery))


def verify_consent(envelope: bytes, trusted: Mapping[str, Approver]) -> Consent:
    """The consent, when both people whom it names signed it and are whom the site trusts.

    Args:
        trusted: approvers of the site by the ids of their keys.

    Raises:
        Refusal: the codes of `documents.verify`, then E_SIGNERS, E_SECOND_PERSON, E_FIELDS, E_TOO_LONG.
    """
    consent, signed = verify(Consent, envelope, {name: approver.key for name, approver in trusted.items()})
    named = {(signer.key, signer.name, signer.role) for signer in consent.approvers}
    if named != {(name, trusted[name].name, trusted[name].role) for name in signed}:
        raise Refusal("E_SIGNERS", "The consent is not signed by exactly the people whom it names.")
    check_people(consent)
    check_times(consent)
    return consent


def check_people(consent: Consent) -> None:
    """Raises Refusal (E_SECOND_PERSON) unless two people sign, a site admin and a data steward."""
    people = {signer.name for signer in consent.approvers}
    if len(people) != PEOPLE or {signer.role for signer in consent.approvers} != set(ROLES):
        raise Refusal("E_SECOND_PERSON", "A consent needs the signatures of a site admin and a data steward.")


def check_times(consent: Consent) -> None:
    """Raises Refusal (E_FIELDS, E_TOO_LONG) where the consent's own times contradict each other."""
    issued, end, kept = map(parse_time, (consent.issued_at, consent.not_after, consent.retention_until))
    if not issued <= end <= kept:
        raise Refusal("E_FIELDS", "The consent ends before it was written, or after its rows are destroyed.")
    if end - issued > MAX_VALIDITY:
        raise Refusal("E_TOO_LONG", f"A consent is good for {MAX_VALIDITY.days} days at most.")


def check_consent(
    consent: Consent, *, study: str, site: str, node: str, pool_node: str, recipient: str, now: datetime
) -> None:
    """Refuse a consent that is not about this study, this site's node and this key of the pool node, or is over.

    Raises:
        Refusal: E_CONSENT, E_CONSENT_EXPIRED.
    """
    if consent.study != study:
        raise Refusal("E_CONSENT", "The consent is for another study.")
    if (consent.site, consent.node) != (site, node):
        raise Refusal("E_CONSENT", "The consent is of another site or node.")
    if (consent.pool.node, consent.pool.recipient) != (pool_node, recipient):
        raise Refusal("E_CONSENT", "The consent names another pool node, or a key that this one does not use.")
    if now >= parse_time(consent.not_after):
        raise Refusal("E_CONSENT_EXPIRED", f"The consent ended at {consent.not_after}.")

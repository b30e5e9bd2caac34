"""Consents, manifests, revocations and deletions: what holds, and what is refused with which code."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from fedstudy_core import canonical, dsse, keys
from fedstudy_core.errors import Refusal
from fedstudy_core.pooling.consent import Consent, check_consent, verify_consent
from fedstudy_core.pooling.documents import document_id, payload_of, sign
from fedstudy_core.pooling.statements import (
    ObjectManifest,
    PoolDeletion,
    PoolRevocation,
    check_manifest,
    verify_deletion,
    verify_manifest,
    verify_revocation,
)
from fedstudy_core.times import format_time
from tests.factories import consents
from tests.factories.agent import STUDY
from tests.factories.consents import ADMIN, NODE, OTHER_STUDY, POOL_KEY, POOL_NODE, SITE, SITE_KEY, STEWARD, refused

NOW = datetime.now(UTC)
KEYS = {keys.key_id(SITE_KEY.public_key()): SITE_KEY.public_key()}


def check(made: Consent, **changed: Any) -> None:
    asked: dict[str, Any] = {
        "study": STUDY,
        "site": SITE,
        "node": NODE,
        "pool_node": POOL_NODE,
        "recipient": POOL_KEY.recipient,
        "now": NOW,
    }
    check_consent(made, **{**asked, **changed})


def test_a_consent_of_two_people_holds() -> None:
    made = consents.consent()
    assert verify_consent(consents.signed(made), consents.trusted()) == made
    check(made)


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (lambda made: consents.signed(made, ADMIN), "E_SIGNERS"),
        (lambda made: consents.signed(made, Ed25519PrivateKey.generate()), "E_NO_TRUSTED_SIGNATURE"),
        (lambda made: consents.signed(made).replace(b'"sig":"', b'"sig":"A', 1), "E_ENVELOPE"),
        (lambda made: dsse.sign("application/json", payload_of(made), [ADMIN, STEWARD]), "E_TYPE"),
        (lambda made: _signed({**_plain(made), "v": 2}), "E_VERSION"),
        (lambda made: _signed({**_plain(made), "more": 1}), "E_FIELDS"),
        (lambda made: _signed({**_plain(made), "columns": [*made.columns, "smoker"]}), "E_FIELDS"),
        (lambda made: _signed({**_plain(made), "filter": []}), "E_FIELDS"),
        (lambda made: _signed({**_plain(made), "level": "F4"}), "E_FIELDS"),
        (lambda made: _signed({**_plain(made), "recovery": made.pool.recipient}), "E_FIELDS"),
        (lambda made: _signed({**_plain(made), "not_after": _in(400)}), "E_FIELDS"),
        (lambda made: _signed({**_plain(made), "not_after": _in(400), "retention_until": _in(401)}), "E_TOO_LONG"),
        (lambda made: _signed({**_plain(made), "not_after": _in(-1)}), "E_FIELDS"),
    ],
)
def test_another_consent_does_not(envelope: Any, code: str) -> None:
    made = consents.consent()
    assert refused(lambda: verify_consent(envelope(made), consents.trusted())) == code


def test_one_person_with_two_keys_is_one_person() -> None:
    made = consents.consent()
    twice = [*consents.people()]
    twice[1] = twice[1].model_copy(update={"name": twice[0].name})
    named = [{"key": entry.id, "name": entry.name, "role": entry.role} for entry in twice]
    envelope = _signed({**_plain(made), "approvers": named})
    trusted = {entry.id: entry.approver() for entry in twice}
    assert refused(lambda: verify_consent(envelope, trusted)) == "E_SECOND_PERSON"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"study": OTHER_STUDY}, "E_CONSENT"),
        ({"site": NODE}, "E_CONSENT"),
        ({"node": SITE}, "E_CONSENT"),
        ({"pool_node": NODE}, "E_CONSENT"),
        ({"recipient": consents.RECOVERY.recipient}, "E_CONSENT"),
        ({"recipient": ""}, "E_CONSENT"),
        ({"now": NOW + timedelta(days=91)}, "E_CONSENT_EXPIRED"),
    ],
)
def test_a_consent_is_for_one_use(changed: dict[str, Any], code: str) -> None:
    made = consents.consent()
    assert refused(lambda: check(made, **changed)) == code


def test_the_same_payload_has_the_same_id_whoever_signed() -> None:
    made = consents.consent()
    assert document_id(consents.signed(made)) == document_id(consents.signed(made, ADMIN)) == _digest(made)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, ""),
        ({"consent": "2" * 64}, "E_CONSENT"),
        ({"study": OTHER_STUDY}, "E_CONSENT"),
        ({"site": NODE}, "E_CONSENT"),
        ({"recipients": [POOL_KEY.recipient]}, "E_CONSENT"),
        ({"columns": [["age", "int64"]]}, "E_POOL_COLUMNS"),
        ({"k": 9}, "E_POOL_K"),
    ],
)
def test_an_object_is_what_was_consented_to(changed: dict[str, Any], code: str) -> None:
    made = consents.consent()
    envelope = consents.signed(made)
    said = sign(consents.manifest(made, envelope, **changed), [SITE_KEY])
    assert refused(lambda: check_manifest(verify_manifest(said, KEYS), made, document_id(envelope))) == code


def test_an_object_with_a_column_more_is_refused() -> None:
    made = consents.consent()
    envelope = consents.signed(made)
    columns = [[name, "int64"] for name in (*made.columns, "smoker")]
    said = consents.manifest(made, envelope, columns=columns)
    assert refused(lambda: check_manifest(said, made, document_id(envelope))) == "E_POOL_COLUMNS"


def test_stopping_needs_no_passphrase_and_no_stranger() -> None:
    facts = {"study": STUDY, "site": SITE, "node": NODE, "consent": "3" * 64, "delete": True}
    said = PoolRevocation(**facts, nonce="0" * 32, sequence=2, issued_at=format_time(NOW))
    assert verify_revocation(sign(said, [SITE_KEY]), KEYS).delete
    assert refused(lambda: verify_revocation(sign(said, [ADMIN]), KEYS)) == "E_NO_TRUSTED_SIGNATURE"
    entry = consents.people()[0]
    named = [{"key": entry.id, "name": entry.name, "role": entry.role}]
    claimed = PoolRevocation.model_validate({**said.model_dump(), "approvers": named})
    assert refused(lambda: verify_revocation(sign(claimed, [SITE_KEY]), KEYS)) == "E_SIGNERS"
    both = {**KEYS, entry.id: ADMIN.public_key()}
    assert verify_revocation(sign(claimed, [SITE_KEY, ADMIN]), both) == claimed


def test_a_deletion_is_the_pool_nodes_word() -> None:
    facts = {"study": STUDY, "site": SITE, "node": POOL_NODE, "consent": "3" * 64, "objects": ["4" * 64]}
    said = PoolDeletion(**facts, recipient=POOL_KEY.recipient, reason="revoked", destroyed_at=format_time(NOW))
    assert verify_deletion(sign(said, [SITE_KEY]), KEYS) == said
    with pytest.raises(Refusal, match="E_TYPE"):
        verify_manifest(sign(said, [SITE_KEY]), KEYS)


def test_a_manifest_names_real_columns() -> None:
    made = consents.consent()
    with pytest.raises(ValidationError):
        ObjectManifest.model_validate({**consents.manifest(made, consents.signed(made)).model_dump(), "rows": 0})


def _plain(made: Consent) -> dict[str, Any]:
    return made.model_dump(mode="json", exclude_none=True)


def _signed(facts: dict[str, Any]) -> bytes:
    return dsse.sign(Consent.kind_of_payload, canonical.dumps(facts), [ADMIN, STEWARD])


def _in(days: int) -> str:
    return format_time(NOW + timedelta(days=days))


def _digest(made: Consent) -> str:
    return canonical.digest(payload_of(made))

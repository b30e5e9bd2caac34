"""A hospital's file with identifiers in it, the terms under which some of it may be pooled, and who signs."""

import uuid
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core import keys
from fedstudy_core.approvers import Approver, ApproverKey, by_id
from fedstudy_core.dictionary import DataDictionary, parse
from fedstudy_core.errors import FedStudyError
from fedstudy_core.pooling.consent import Consent
from fedstudy_core.pooling.documents import document_id, sign
from fedstudy_core.pooling.statements import ObjectManifest
from fedstudy_core.times import format_time
from fedstudy_node.pooling.sealing import Key, make_key
from fedstudy_node.pooling.terms import Wish, parse_wish
from tests.factories.agent import STUDY

OTHER_STUDY = str(uuid.UUID(int=9))
SITE, NODE, POOL_NODE, DATASET = (str(uuid.UUID(int=number)) for number in (201, 101, 199, 301))
ADMIN, STEWARD = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
SITE_KEY = Ed25519PrivateKey.generate()
RECOVERY = make_key()
POOL_KEY = make_key()

VARIABLES: list[dict[str, Any]] = [
    {"name": "age", "type": "integer", "min": 18, "max": 110},
    {"name": "sex", "type": "categorical", "codes": [{"value": "female"}, {"value": "male"}]},
    {"name": "chol", "type": "number", "min": 50, "max": 700, "required": False, "implausible": [0]},
    {"name": "admitted", "type": "date"},
    {"name": "smoker", "type": "boolean"},
    {"name": "remark", "type": "text", "required": False},
    {"name": "mrn", "type": "text", "identifier": True, "required": False},
    {"name": "record", "type": "integer", "required": False},
    {"name": "num", "type": "integer", "min": 0, "max": 4},
]

WISH: dict[str, Any] = {
    "level": "F3",
    "dataset": "heart",
    "retention_until": (datetime.now(UTC) + timedelta(days=300)).date(),
    "days": 90,
    "legal_basis": {"gdpr6": "6(1)(e)", "gdpr9": "9(2)(j)"},
    "holdout": {
        "label": {"column": "num", "op": ">", "value": 0},
        "train": "0.66",
        "seed": 43,
        "complete": ["age", "sex", "num"],
    },
    "k": {"columns": ["age", "sex"], "least": 10},
    "filter": [{"column": "age", "op": ">=", "value": 30}],
    "profile": {
        "age": {"action": "band", "width": 30},
        "sex": {"action": "keep"},
        "chol": {"action": "round", "digits": -1},
        "admitted": {"action": "shift_days", "most": 180, "patient": "mrn"},
        "num": {"action": "keep"},
    },
}


def dictionary() -> DataDictionary:
    """The study's variables."""
    return parse(VARIABLES)


def wish(**changed: Any) -> Wish:
    """What a site would share."""
    return parse_wish({**WISH, **changed})


def patients(rows: int = 300, seed: int = 1) -> dict[str, list[Any]]:
    """A hospital's file; what names a patient is unlike anything else in it."""
    draw = np.random.default_rng(seed)
    first = datetime(2019, 1, 1, tzinfo=UTC)
    return {
        "age": [int(value) for value in draw.integers(25, 89, rows)],
        "sex": [str(value) for value in draw.choice(["female", "male"], rows)],
        "chol": [float(value) for value in draw.integers(150, 350, rows)],
        "admitted": [(first + timedelta(days=int(day))).date() for day in draw.integers(0, 900, rows)],
        "smoker": [bool(value) for value in draw.integers(0, 2, rows)],
        "remark": [f"Seen with Dr. Planted{number}, call +49 171 55501{number:02d}" for number in range(rows)],
        "mrn": [f"MRN-77{number:06d}" for number in range(rows)],
        "record": [880_000_000 + number for number in range(rows)],
        "num": [int(value) for value in draw.integers(0, 5, rows)],
    }


def table(rows: int = 300, seed: int = 1, **columns: Any) -> pyarrow.Table:
    """The file as a table."""
    return pyarrow.table({**patients(rows, seed), **columns})


def people() -> list[ApproverKey]:
    """The site admin and the data steward."""
    signers = (("Demo Admin", "site admin", ADMIN), ("Demo Steward", "data steward", STEWARD))
    return [
        ApproverKey(kind="console", name=name, role=role, key=keys.public_text(key.public_key()))  # type: ignore[arg-type]
        for name, role, key in signers
    ]


def trusted() -> Mapping[str, Approver]:
    """Whom the site trusts."""
    return by_id(people())


def consent(wished: Wish | None = None, *, pool_key: Key = POOL_KEY, **changed: Any) -> Consent:
    """What the two people sign."""
    wished = wished or wish()
    issued = datetime.now(UTC).replace(microsecond=0)
    terms = wished.terms
    facts: dict[str, Any] = {
        "v": 1,
        "kind": "consent",
        "study": STUDY,
        "site": SITE,
        "node": NODE,
        "pool": {"node": POOL_NODE, "recipient": pool_key.recipient},
        "recovery": RECOVERY.recipient,
        "level": wished.level,
        "dataset": {"id": DATASET, "fingerprint": "0" * 64},
        "columns": list(terms.columns),
        "filter": [condition.model_dump() for condition in terms.filter],
        "profile": {name: action.model_dump() for name, action in terms.profile.items()},
        "holdout": terms.holdout.model_dump(),
        "k": terms.k.model_dump(),
        "purpose": "study",
        "legal_basis": wished.legal_basis.model_dump(),
        "retention_until": format_time(wished.retained_until),
        "meaning": "consented",
        "approvers": [{"key": entry.id, "name": entry.name, "role": entry.role} for entry in people()],
        "nonce": uuid.uuid4().hex,
        "sequence": 1,
        "issued_at": format_time(issued),
        "not_after": wished.ends(issued),
    }
    return Consent.model_validate({**facts, **changed})


def signed(made: Consent, *signers: Ed25519PrivateKey) -> bytes:
    """The envelope around a consent; by both people where nobody is named."""
    return sign(made, list(signers) or [ADMIN, STEWARD])


def manifest(made: Consent, envelope: bytes, **changed: Any) -> ObjectManifest:
    """What the site's node says of an object under a consent."""
    facts: dict[str, Any] = {
        "study": made.study,
        "site": made.site,
        "node": made.node,
        "consent": document_id(envelope),
        "sha256": "1" * 64,
        "size": 100,
        "rows": 50,
        "columns": [[name, "int64"] for name in made.columns],
        "k": 10,
        "recipients": made.recipients,
        "issued_at": format_time(datetime.now(UTC)),
    }
    return ObjectManifest.model_validate({**facts, **changed})


def refused(act: Callable[[], object]) -> str:
    """The code with which something is refused."""
    try:
        act()
    except FedStudyError as error:
        return error.code
    return ""


def text(envelope: bytes) -> str:
    """An envelope as it travels."""
    return b64encode(envelope).decode("ascii")

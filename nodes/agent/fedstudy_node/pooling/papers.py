"""What this site gave and took back: consents, the objects sent under them, revocations; and its own pooling keys.

All of it lies below `pool/` in the node's home. The secret of the recovery key does not: it goes into a file that its
people name, to be kept elsewhere.
"""

import json
import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from fedstudy_core import canonical
from fedstudy_core.errors import Refusal
from fedstudy_core.pooling.consent import Consent
from fedstudy_core.pooling.documents import payload_of, read, read_unverified, to_sign
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home, now_text, write_private
from fedstudy_node.pooling.sealing import make_key

_SHORTEST = 8


@dataclass(frozen=True)
class Draft:
    """A consent on its way to being signed. `signatures` are by the ids of their keys."""

    payload: bytes
    begun_at: str = field(default_factory=now_text)
    signatures: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The id that the consent will have."""
        return canonical.digest(self.payload)

    @property
    def consent(self) -> Consent:
        """What is signed."""
        return read(Consent, self.payload)

    @property
    def to_sign(self) -> bytes:
        """The bytes that a key signs."""
        return to_sign(self.consent)

    @property
    def awaited(self) -> list[str]:
        """The names of the people who have not signed yet."""
        return [signer.name for signer in self.consent.approvers if signer.key not in self.signatures]


@dataclass(frozen=True)
class Given:
    """A consent that this site signed, and what became of it.

    Attributes:
        told: the portal has it.
        manifest: the envelope of the object that was sealed under it, b"" before.
        sha256: of that object's ciphertext.
        sent: the portal has the whole object.
        revocation: the envelope that takes it back, b"" while it holds.
        revocation_told: the portal has that too.
    """

    consent_id: str
    envelope: bytes
    study: str
    signed_at: str = field(default_factory=now_text)
    told: bool = False
    manifest: bytes = b""
    sha256: str = ""
    sent: bool = False
    revocation: bytes = b""
    revocation_told: bool = False

    @property
    def consent(self) -> Consent:
        """What was signed; the signatures were verified when it was kept."""
        return read_unverified(Consent, self.envelope)


_BYTES = ("envelope", "manifest", "revocation")


@dataclass(frozen=True)
class Papers:
    """The pooling papers of one node."""

    home: Home

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.home.path / "pool"

    def sealed_path(self, sha256: str) -> Path:
        """Where the ciphertext of an object that is to be sent lies."""
        return self.folder / "outgoing" / f"{sha256}.age"

    def make_recovery_key(self, file: Path) -> str:
        """Make the site's own key: the secret into a new file that only its owner may read; return the public part.

        Raises NodeError (E_EXISTS) where there is one already, E_FILE where the file cannot be made.
        """
        if self._recipient_file.exists():
            raise NodeError("E_EXISTS", "This site has a recovery key already.")
        key = make_key()
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as target:
                target.write(f"# recovery key of this site's pooled rows; public: {key.recipient}\n{key.secret}\n")
        except OSError as error:
            raise NodeError("E_FILE", f"{file} cannot be made: {error.strerror}.") from error
        self._make("")
        write_private(self._recipient_file, key.recipient.encode("ascii"))
        return key.recipient

    def recovery(self) -> str:
        """Return the public part of the site's own key. Raises NodeError (E_KEY)."""
        if not self._recipient_file.exists():
            raise NodeError("E_KEY", "This site has no recovery key yet: run `fedstudy-node pool recovery-key FILE`.")
        return self._recipient_file.read_text("ascii")

    def shift_secret(self) -> bytes:
        """Return the secret by which dates are shifted; made when it is first asked for."""
        file = self.folder / "shift.key"
        with self.home.changing():
            if not file.exists():
                self._make("")
                write_private(file, secrets.token_bytes(32))
        return file.read_bytes()

    def keep_draft(self, draft: Draft) -> None:
        """Keep a consent that waits for its second person."""
        raw = {
            "payload": b64encode(draft.payload).decode("ascii"),
            "begun_at": draft.begun_at,
            "signatures": {key: b64encode(value).decode("ascii") for key, value in draft.signatures.items()},
        }
        write_private(self._make("drafts") / f"{draft.id}.json", json.dumps(raw, indent=1).encode())

    def drafts(self) -> list[Draft]:
        """Return the consents that wait for a second person, newest first."""
        found = []
        for file in (self.folder / "drafts").glob("*.json"):
            raw: dict[str, Any] = json.loads(file.read_bytes())
            signatures = {key: b64decode(value) for key, value in raw["signatures"].items()}
            found.append(Draft(b64decode(raw["payload"]), raw["begun_at"], signatures))
        return sorted(found, key=lambda draft: draft.begun_at, reverse=True)

    def draft(self, text: str) -> Draft:
        """Return a waiting consent by the beginning of its id. Raises NodeError (E_NOT_FOUND)."""
        found = [draft for draft in self.drafts() if len(text) >= _SHORTEST and draft.id.startswith(text)]
        if len(found) != 1:
            raise NodeError("E_NOT_FOUND", f"No consent {text!r} waits for a signature here.")
        return found[0]

    def drop_draft(self, draft: Draft) -> None:
        """Give a draft up."""
        (self.folder / "drafts" / f"{draft.id}.json").unlink(missing_ok=True)

    def keep(self, given: Given) -> Given:
        """Keep a consent, again when something became of it."""
        raw = asdict(given) | {name: b64encode(getattr(given, name)).decode("ascii") for name in _BYTES}
        write_private(self._make("consents") / f"{given.consent_id}.json", json.dumps(raw, indent=1).encode())
        return given

    def note(self, consent_id: str, **what: Any) -> Given:
        """Note what became of a consent."""
        return self.keep(replace(self._load(self.folder / "consents" / f"{consent_id}.json"), **what))

    def all(self) -> list[Given]:
        """Return the consents, newest first."""
        found = [self._load(file) for file in (self.folder / "consents").glob("*.json")]
        return sorted(found, key=lambda given: given.consent.sequence, reverse=True)

    def of_study(self, study: str) -> Given:
        """Return the consent in force for a study. Raises Refusal (E_NO_CONSENT, E_CONSENT_REVOKED)."""
        for given in self.all():
            if given.study == study:
                if given.revocation:
                    raise Refusal("E_CONSENT_REVOKED")
                return given
        raise Refusal("E_NO_CONSENT")

    def _load(self, file: Path) -> Given:
        raw: dict[str, Any] = json.loads(file.read_bytes())
        return Given(**(raw | {name: b64decode(raw[name]) for name in _BYTES}))

    def _make(self, name: str) -> Path:
        folder = self.folder / name
        for path in (self.folder, folder):
            path.mkdir(mode=0o700, exist_ok=True)
        return folder

    def room_for_sealed(self) -> Path:
        """Return the folder of what is to be sent."""
        return self._make("outgoing")

    @property
    def _recipient_file(self) -> Path:
        return self.folder / "recovery.pub"


def draft_of(consent: Consent) -> Draft:
    """Return a draft that nobody has signed."""
    return Draft(payload_of(consent))

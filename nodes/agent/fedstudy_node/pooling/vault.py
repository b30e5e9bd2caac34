"""What a pool node holds on disk: a key for each study and site, ciphertext, and what may never be opened again.

A key opens the objects of one site for one study and nothing else. Destroying it is what makes every copy of these
objects worthless, those in backups of the portal too.
"""

import json
import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedstudy_core.errors import Refusal
from fedstudy_node.home import Home, write_private
from fedstudy_node.pooling.sealing import Key, make_key, recipient_of

Pair = tuple[str, str]  # study and site, by id
# What tools for backups look for in folders that are to be left out (https://bford.info/cachedir/).
TAG = """Signature: 8a477f597d28d172789f06886806bc55
# A copy of a key outlives its destruction: leave this folder out of backups.
"""
GONE = ("retention", "removed", "destroyed")  # of whose rows nothing is here any more


@dataclass(frozen=True)
class Vault:
    """The pool part of a node's home. The keeper is the only one who writes to it."""

    home: Home

    def key(self, study: str, site: str) -> Key | None:
        """Return the key of a study and a site; None before it was made, and after it was destroyed."""
        file = self._key_file(study, site)
        if not file.exists():
            return None
        secret = file.read_text("ascii").strip()
        return Key(secret, recipient_of(secret))

    def make_key(self, study: str, site: str) -> Key:
        """Return the key of a study and a site, a new one where there is none."""
        known = self.key(study, site)
        if known is not None:
            return known
        key = make_key()
        self._make("keys")
        write_private(self._key_file(study, site), f"{key.secret}\n".encode("ascii"))
        return key

    def keys(self) -> dict[Pair, Key]:
        """Return all keys."""
        found = {}
        for file in sorted((self._folder / "keys").glob("*.key")):
            study, _, site = file.stem.partition(".")
            key = self.key(study, site)
            if key is not None:
                found[study, site] = key
        return found

    def destroy_key(self, study: str, site: str) -> None:
        """Overwrite a key and remove it. It was never sent; a backup that has this folder still has it."""
        file = self._key_file(study, site)
        if not file.exists():
            return
        with file.open("r+b", buffering=0) as bytes_:
            bytes_.write(secrets.token_bytes(file.stat().st_size))
            os.fsync(bytes_.fileno())
        file.unlink()

    def sealed_path(self, sha256: str) -> Path:
        """Where the ciphertext of an object lies."""
        return self._folder / "sealed" / f"{sha256}.age"

    def room_for_sealed(self) -> Path:
        """Return the folder of ciphertext."""
        return self._make("sealed")

    def remove_sealed(self, sha256: str) -> None:
        """Remove the ciphertext of an object."""
        self.sealed_path(sha256).unlink(missing_ok=True)

    def state(self) -> "State":
        """Return what this node remembers of consents."""
        file = self._folder / "state.json"
        raw: dict[str, Any] = json.loads(file.read_bytes()) if file.exists() else {}
        return State(dict(raw.get("over", {})), dict(raw.get("newest", {})))

    def remember_over(self, consent_id: str, why: str) -> None:
        """Remember for good that a consent does not count any more: the portal may forget, or pretend to."""
        state = self.state()
        self._save(State({**state.over, consent_id: why}, state.newest))

    def remember_newest(self, study: str, site: str, sequence: int) -> None:
        """Remember the newest consent of a site: an older one does not come back."""
        state = self.state()
        self._save(State(state.over, {**state.newest, _pair(study, site): sequence}))

    def keep_deletion(self, consent_id: str, envelope: bytes) -> None:
        """Keep a signed deletion until the portal has it."""
        write_private(self._make("deletions") / f"{consent_id}.json", b64encode(envelope))

    def deletions(self) -> dict[str, bytes]:
        """Return the deletions that the portal does not have yet, by consent."""
        return {file.stem: b64decode(file.read_bytes()) for file in (self._folder / "deletions").glob("*.json")}

    def deletion_told(self, consent_id: str) -> None:
        """The portal has it."""
        (self._folder / "deletions" / f"{consent_id}.json").unlink(missing_ok=True)

    @property
    def _folder(self) -> Path:
        return self.home.path / "poolnode"

    def _make(self, name: str) -> Path:
        folder = self._folder / name
        for path in (self._folder, folder):
            path.mkdir(mode=0o700, exist_ok=True)
        tag = self._folder / "CACHEDIR.TAG"
        if not tag.exists():
            write_private(tag, TAG.encode("ascii"))
        return folder

    def _key_file(self, study: str, site: str) -> Path:
        return self._folder / "keys" / f"{_plain(study)}.{_plain(site)}.key"

    def _save(self, state: "State") -> None:
        self._make("")
        content = json.dumps({"over": dict(state.over), "newest": dict(state.newest)}, indent=1)
        write_private(self._folder / "state.json", content.encode())


@dataclass(frozen=True)
class State:
    """What a pool node remembers.

    Attributes:
        over: why a consent does not count any more, by its id: "revoked"; "retention" and "removed" (its rows are
            removed as its time was over or its site asked, the key is in use); "destroyed" (with the key).
        newest: the highest sequence of consents seen, by study and site.
    """

    over: Mapping[str, str]
    newest: Mapping[str, int]

    def newest_of(self, study: str, site: str) -> int:
        """Return the highest sequence seen of a study and a site; -1 before the first."""
        return self.newest.get(_pair(study, site), -1)


def _pair(study: str, site: str) -> str:
    return f"{study}.{site}"


def _plain(name: str) -> str:
    """Return an id that is to be part of a file's name. Raises Refusal (E_PORTAL)."""
    if not (name.isascii() and name.replace("-", "").isalnum() and len(name) <= 64):
        raise Refusal("E_PORTAL", "The portal names a study or site by what is no id.")
    return name

"""Replacing the node's own keys, so that a power cut at any moment leaves a node that can connect.

The first pair of keys lies in `keys/`, each later pair in a folder of its own in there. `keys/next` names the pair that
was made and maybe sent; `keys/current` names the pair in use, and writing it is the switch. A pair that was made is
kept until the portal is known to have it or is asked again: whichever of the two the portal knows, the node has.
"""

import secrets
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core import keys
from fedstudy_core.rotation import Rotation
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home, flower_pem, flower_public_pem, write_private
from fedstudy_node.ledger import Ledger
from fedstudy_node.portal import PortalRefusal
from fedstudy_node.trust import Trust


class KeyPortal(Protocol):
    """What a change of keys asks of the portal, signed by one of the two keys."""

    def itself(self) -> dict[str, Any]:
        """Return what the portal holds of this node."""

    def rotate(self, body: dict[str, str]) -> dict[str, Any]:
        """Hand in new keys; return what the portal holds then."""


Open = Callable[[Ed25519PrivateKey], KeyPortal]


@dataclass(frozen=True)
class Pair:
    """The node's own keys."""

    identity: Ed25519PrivateKey
    flower: ec.EllipticCurvePrivateKey

    @property
    def public(self) -> dict[str, str]:
        """The public parts, as the portal has them."""
        return {
            "identity_key": keys.public_text(self.identity.public_key()),
            "flower_key": flower_public_pem(self.flower),
        }


class KeyChange:
    """One node's change of keys; `open_portal` speaks to the portal under a given identity."""

    def __init__(self, home: Home, open_portal: Open) -> None:
        self._home = home
        self._open = open_portal
        self._folder = home.path / "keys"

    def rotate(self, token: str = "") -> str:
        """Make new keys, have the portal take them, switch to them; returns the new six words.

        Goes on where an earlier try was cut off. Raises NodeError (E_PORTAL, E_WORDS).
        """
        self.finish()
        if self.recover():
            return self._home.settings().words
        new = self._prepare()
        old = self._home.identity_key()
        rotation = Rotation(self._home.enrolled().node, keys.public_text(old.public_key()), **new.public)
        told = self._open(old).rotate({**new.public, **rotation.prove(new.identity, new.flower), "token": token})
        return self._adopt(new, told)

    def recover(self) -> bool:
        """Switch to new keys that the portal took before this node was cut off; returns whether there were any."""
        if not self.is_open():
            return False
        new = self._load(self._named("next"))
        try:
            told = self._open(new.identity).itself()
        except PortalRefusal as refusal:
            if refusal.portal_code == "E_SIGNATURE":
                return False
            raise
        self._adopt(new, told)
        return True

    def finish(self) -> None:
        """Clear away what a change left that was cut off just after the switch."""
        if self._named("next") and not self.is_open():
            self._finish(self._load(self._named("next")))

    def is_open(self) -> bool:
        """Whether keys were made that are not in use yet."""
        return self._named("next") not in ("", self._named("current"))

    def _prepare(self) -> Pair:
        """Return the keys of an earlier try, or make some."""
        name = self._named("next")
        if not name:
            name = secrets.token_hex(8)
            folder = self._folder / name
            folder.mkdir(mode=0o700)
            write_private(folder / "identity.pem", keys.to_pem(keys.generate(), None))
            write_private(folder / "flower.pem", flower_pem(ec.generate_private_key(ec.SECP384R1())))
            write_private(self._folder / "next", name.encode("ascii"))
        return self._load(name)

    def _adopt(self, new: Pair, told: dict[str, Any]) -> str:
        """Switch to the new keys, which the portal has."""
        if told.get("identity_key") != new.public["identity_key"]:
            raise NodeError("E_WORDS", "The portal holds other keys than this node sent.")
        write_private(self._folder / "current", self._named("next").encode("ascii"))
        return self._finish(new)

    def _finish(self, new: Pair) -> str:
        """Note the change and remove what is in use no more."""
        settings = self._home.settings()
        approval_key = settings.approval_key or Trust(self._home).on_console().key
        words = keys.six_words(*new.public.values(), approval_key)
        if settings.words != words:
            with closing(Ledger(self._home.ledger_path)) as ledger:
                ledger.journal.append("rotated", settings.node, {"words": words, "key": new.public["identity_key"]})
            self._home.save(replace(settings, words=words))
        (self._folder / "next").unlink(missing_ok=True)
        for name in ("identity.pem", "flower.pem"):
            (self._folder / name).unlink(missing_ok=True)
        for folder in self._folder.iterdir():
            if folder.is_dir() and folder.name != self._named("current"):
                shutil.rmtree(folder)
        return words

    def _named(self, name: str) -> str:
        file = self._folder / name
        return file.read_text("ascii").strip() if file.exists() else ""

    def _load(self, name: str) -> Pair:
        folder = self._folder / name
        return Pair(self._home.identity_key(folder), self._home.flower_key(folder))

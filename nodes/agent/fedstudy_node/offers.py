"""The scripts that the portal offers to this site: fetched, hashed and read here, and kept on a shelf."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fedstudy_core import bundle as bundles
from fedstudy_core.bundle import Bundle
from fedstudy_core.wire import ScriptOffer
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home, write_private
from fedstudy_node.levels import USUAL, Levels
from fedstudy_node.portal import Portal, PortalUnreachable

_SHORTEST = 8
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9A-Za-z-]{8,64}")


@dataclass(frozen=True)
class Offer:
    """A script version as it came: the portal's row, the bytes, and what this node read in them."""

    row: dict[str, Any]
    fab: bytes
    bundle: Bundle

    @property
    def version(self) -> str:
        """The portal's id of the version."""
        return str(self.row["version"])

    @property
    def study(self) -> str:
        """The study's id."""
        return str(self.row["study"])

    @property
    def level(self) -> str:
        """The site's level in the study."""
        return str(self.row.get("level", USUAL))

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.row['script']} {self.row['number']} for “{self.row['study_title']}”"


@dataclass
class Offers:
    """What was offered, newest first: from the portal, or from this node's own shelf when the portal is away."""

    home: Home

    def refresh(self, portal: Portal) -> list[dict[str, Any]]:
        """Ask the portal, and keep what it says. Raises NodeError (E_PORTAL for what has another form)."""
        rows = [_promised(row) for row in portal.scripts()]
        write_private(self._shelf, json.dumps(rows).encode())
        Levels(self.home).keep(rows)
        return rows

    def current(self, portal: Portal) -> list[dict[str, Any]]:
        """Ask the portal; where it is away, return what it said last. Raises NodeError."""
        try:
            return self.refresh(portal)
        except PortalUnreachable:
            return self.rows()

    def rows(self) -> list[dict[str, Any]]:
        """Return what the portal said last."""
        if not self._shelf.exists():
            return []
        rows: list[dict[str, Any]] = json.loads(self._shelf.read_bytes())
        return [{"level": USUAL, **row} for row in rows]  # kept by a node of before levels

    def fetch(self, text: str, portal: Portal | None) -> Offer:
        """Return one version, and believe of it only what its bytes say.

        Args:
            text: the beginning of its id or of its hash, 8 characters or more.
            portal: None to take it from the shelf.

        Raises:
            NodeError: E_NOT_FOUND, E_BUNDLE.
            Refusal: the codes of `bundle.inspect`.
        """
        rows = [row for row in (self.rows() if portal is None else self.current(portal)) if _is_version(row, text)]
        if len(rows) != 1:
            raise NodeError(
                "E_NOT_FOUND",
                f"The portal offers this site no script version {text!r}: give {_SHORTEST} characters or more of it,"
                " as `fedstudy-node review` lists them.",
            )
        fab = self.bundle(str(rows[0]["sha256"])) or self._fetched(rows[0], portal)
        return Offer(rows[0], fab, _inspect(rows[0], fab))

    def bundle(self, sha256: str) -> bytes | None:
        """Return the bytes of a script that this node has, None where it has not."""
        file = self.home.bundles_path / f"{sha256}.fab"
        return file.read_bytes() if file.exists() else None

    def _fetched(self, row: dict[str, Any], portal: Portal | None) -> bytes:
        if portal is None:
            raise NodeError("E_NOT_FOUND", "This node has not fetched the script yet, and the portal is away.")
        return self.download(row, portal)

    def download(self, row: dict[str, Any], portal: Portal) -> bytes:
        """Fetch the bytes of a script and keep them. Raises NodeError (E_BUNDLE), Refusal (E_BUNDLE_*)."""
        fab = portal.bundle(str(row["version"]))
        write_private(self.home.bundles_path / f"{_inspect(row, fab).sha256}.fab", fab)
        return fab

    @property
    def _shelf(self) -> Path:
        return self.home.path / "offers.json"


def _promised(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row in the form that the portal promises; what a newer portal adds is left out."""
    try:
        known = {name: row[name] for name in ScriptOffer.model_fields if name in row}
        offer = ScriptOffer.model_validate(known).model_dump(mode="json")
    except ValidationError as error:
        raise NodeError("E_PORTAL", "The portal lists a script in another form than it promises.") from error
    if not _SHA256.fullmatch(offer["sha256"]) or not _VERSION.fullmatch(offer["version"]):
        raise NodeError("E_PORTAL", "The portal lists a script without a proper name.")  # they become files and paths
    return offer


def _inspect(row: dict[str, Any], fab: bytes) -> Bundle:
    """Read the bytes of a script. Raises NodeError (E_BUNDLE), Refusal (E_BUNDLE_*)."""
    bundle = bundles.inspect(fab)
    if bundle.sha256 != row["sha256"]:
        raise NodeError("E_BUNDLE", "The bundle that came is not the one that the portal lists.")
    return bundle


def _is_version(row: dict[str, Any], text: str) -> bool:
    return len(text) >= _SHORTEST and (str(row["version"]).startswith(text) or str(row["sha256"]).startswith(text))

"""What changed in a script since this site approved it last."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from fedstudy_core import bundle as bundles
from fedstudy_core.archives import read_archive
from fedstudy_core.statement import Statement, read_unverified
from fedstudy_node.approvals import Approvals, Signed
from fedstudy_node.home import Home
from fedstudy_node.offers import Offer


@dataclass(frozen=True)
class Earlier:
    """A version of the same script that this site approved, other than the one at hand."""

    signed: Signed
    fab: bytes

    @property
    def statement(self) -> Statement:
        """What the site signed on it, for showing."""
        return read_unverified(self.signed.envelope)


def last_approved(home: Home, offer: Offer) -> Earlier | None:
    """Return the newest other version of an offered script that was approved here, None where there is none."""
    for signed in Approvals(home).all():
        file = home.bundles_path / f"{signed.script_sha256}.fab"
        same_script = signed.study == offer.study and signed.decision == "approved"
        if same_script and signed.script_sha256 != offer.bundle.sha256 and file.exists():
            content = file.read_bytes()
            if bundles.inspect(content).name == offer.bundle.name:
                return Earlier(signed, content)
    return None


def texts(fab: bytes) -> dict[str, str]:
    """Return every file of a bundle as text."""
    return {path: data.decode("utf-8", errors="replace") for path, data in read_archive(fab).items()}


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the changed lines (a unified diff) of every file that differs or went away, by its path."""
    found = {}
    for path in sorted({*before, *after}):
        lines = changed_lines(before.get(path, ""), after.get(path, ""), path)
        if lines:
            found[path] = lines
    return found


def changed_lines(before: str, after: str, path: str) -> list[str]:
    """Return the unified diff of one file, without line ends; empty when nothing changed."""
    names = (f"{path} (approved)", f"{path} (this version)")
    return list(difflib.unified_diff(before.splitlines(), after.splitlines(), *names, lineterm=""))

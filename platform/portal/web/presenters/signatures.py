"""Signatures in the reader's language; `components/signatures.html` shows them everywhere alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from federation.releases.models import Release
from studies.scripts.models import Approval
from studies.scripts.signatures import Signature, signatures_of

MEANINGS = {
    "approved": gettext_noop("approved: the script may run on this dataset within the limits"),
    "rejected": gettext_noop("rejected: the script may not run on this dataset"),
    "consented": gettext_noop("consented: the model may leave the platform"),
    "refused": gettext_noop("refused: the model may not leave the platform"),
}
ROLES = {
    "site admin": gettext_noop("site admin"),
    "data steward": gettext_noop("data steward"),
    "standing policy": gettext_noop("the node, under a standing policy of its site"),
}
STEWARD = "data steward"


def shown(signatures: Iterable[Signature]) -> list[Signature]:
    """The signatures with their meanings and roles in words."""
    return [replace(item, meaning=_word(MEANINGS, item.meaning), role=_word(ROLES, item.role)) for item in signatures]


def under(document: Approval | Release | list[dict[str, str]] | None) -> list[Signature]:
    """The signatures under an approval, of a release, or that a model card tells of."""
    match document:
        case Approval():
            return shown(signatures_of(document))
        case Release():
            return shown(_of_release(document))
        case None:
            return []
        case told:
            return shown(Signature.from_json(item) for item in told)


def _of_release(release: Release) -> list[Signature]:
    """Those who consented, and who refused."""
    found = [
        Signature(item.signed_by.name, STEWARD, "consented", item.signed_at, item.site.name)
        for item in release.signatures.all()
    ]
    if release.refused_by and release.refusing_site and release.decided_at:
        name, site = release.refused_by.name, release.refusing_site.name
        found.append(Signature(name, STEWARD, "refused", release.decided_at, site))
    return found


def _word(words: dict[str, str], name: str) -> Any:
    return _(words[name]) if name in words else name

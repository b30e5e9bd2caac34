"""What a version changes against another one, and which sites still run which."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from typing import TypeVar
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fedstudy_core.analysis.amendment import Amendment, Snapshot, compare
from fedstudy_core.archives import read_archive
from fedstudy_core.bundle import Bundle, inspect
from fedstudy_core.canonical import digest
from portal.web.presenters.findings import findings_of
from portal.web.presenters.picture import Picture, decision_of
from studies.scripts import selectors
from studies.scripts.models import ScriptVersion

K = TypeVar("K")
V = TypeVar("V")

MOST_KEPT = 256
_kept: dict[tuple[str, int, str, int], Amendment] = {}
_bundles: dict[str, Bundle] = {}
_lock = Lock()


def snapshot_of(version: ScriptVersion) -> Snapshot:
    """A version as the comparison reads it; what was found in its bundle last is kept by the content.

    Raises Refusal (E_BUNDLE_...) for a bundle that was damaged.
    """
    content = bytes(version.bundle)
    key = digest(content)
    found = _bundles.get(key)
    if found is None:
        found = inspect(content)
        _keep(_bundles, key, found)
    return Snapshot(found, read_archive(content), findings_of(version.findings))


def _keep(kept: dict[K, V], key: K, found: V) -> None:
    with _lock:
        while len(kept) >= MOST_KEPT:
            del kept[next(iter(kept))]
        kept[key] = found


def amendment_of(old: ScriptVersion, new: ScriptVersion) -> Amendment:
    """What `new` changes against `old`; as bundles never change, what was found last is kept by their content.

    Raises Refusal (E_BUNDLE_...) for a bundle that was damaged.
    """
    contents = [digest(bytes(version.bundle)) for version in (old, new)]
    key = (contents[0], old.edition, contents[1], new.edition)
    found = _kept.get(key)
    if found is None:
        found = compare(snapshot_of(old), snapshot_of(new))
        _keep(_kept, key, found)
    return found


def base_of(version: ScriptVersion, sites: Iterable[UUID]) -> ScriptVersion | None:
    """What a version is compared with unless somebody asks otherwise: the version that the reader's sites approved
    last, else the one that it replaces, else the one before it."""
    approved = selectors.last_approved(version, sites)
    before = version.script.versions.select_related("script").filter(number__lt=version.number).order_by("-number")
    return approved or version.replaces or before.first()


def replacement_sentences(picture: Picture, version: ScriptVersion) -> list[str]:
    """Which version stands for which, and what each site runs until it signs; nothing for a version on its own."""
    by_id = {item.pk: item for item in picture.versions}
    sentences: list[str] = []
    replaced = by_id.get(version.replaces_id) if version.replaces_id else None
    if replaced is not None:
        words = _("Version {newer} replaces version {older}.")
        sentences.append(words.format(newer=version.number, older=replaced.number))
        sentences += _still_running(picture, version, replaced)
    for newer in sorted(picture.versions, key=lambda item: item.number):
        if newer.replaces_id == version.pk and newer.state == "submitted":
            sentences.append(_("Version {newer} replaces this one.").format(newer=newer.number))
            sentences += _still_running(picture, newer, version)
    return sentences


def _still_running(picture: Picture, newer: ScriptVersion, older: ScriptVersion) -> list[str]:
    names = [
        enrolment.site.name
        for enrolment in picture.taking_part
        if older.state == "submitted" and decision_of(picture.approval_of(older, enrolment)) == "approved"
    ]
    if not names:
        return []
    words = ngettext(
        "{sites} still runs version {older} until it signs version {newer}.",
        "{sites} still run version {older} until they sign version {newer}.",
        len(names),
    )
    return [words.format(sites=_listed(names), older=older.number, newer=newer.number)]


def _listed(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    return _("{others} and {last}").format(others=", ".join(names[:-1]), last=names[-1])

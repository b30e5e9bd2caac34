"""The navigation for the person who looks."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from portal.web.addresses import address
from studies.lifecycle.models import Study
from studies.scripts.models import ScriptVersion


@dataclass(frozen=True)
class Link:
    """An entry of the main navigation or of a study's tabs."""

    label: str
    href: str
    icon: str = "dot"
    current: bool = False
    key: str = ""  # opens it after "g"


def main_navigation(path: str, *, sees_sites: bool, sees_log: bool, sees_platform: bool = False) -> list[Link]:
    """The bar's entries; what a person has nothing to do with is not there."""
    entries = [(_("Studies"), address("web:studies"), "study", "s", True)]
    entries += [(_("Sites and nodes"), address("web:sites"), "hospital", "i", sees_sites)]
    entries += [(_("Platform"), address("web:platform"), "pulse", "p", sees_platform)]
    entries += [(_("Log"), address("web:events"), "log", "l", sees_log)]
    return [Link(label, href, icon, _is_current(path, href), key) for label, href, icon, key, shown in entries if shown]


def _is_current(path: str, href: str) -> bool:
    if href == "/":
        return path == "/" or path.startswith(
            (
                "/studies",
                "/enrolments",
                "/scripts",
                "/threads",
                "/runs",
                "/releases",
                "/webhooks",
                "/pool-consents",
                "/degrees",
            )
        )
    return path.startswith(href)


def study_tabs(
    study_id: UUID, current: str, *, sees_log: bool, may_set_up: bool, has_webhooks: bool = False
) -> list[Link]:
    """The tabs of a study's pages."""
    names = [
        ("study-set-up", _("Set-up"), may_set_up),
        ("study", _("Overview"), True),
        ("study-protocol", _("Protocol"), True),
        ("study-dictionary", _("Data dictionary"), True),
        ("study-pool", _("Pooled rows"), True),
        ("study-people", _("People"), True),
        ("study-webhooks", _("Webhooks"), has_webhooks),
        ("study-events", _("Log"), sees_log),
    ]
    return [
        Link(label, address(f"web:{name}", study_id), current=name == current) for name, label, shown in names if shown
    ]


def platform_tabs(current: str) -> list[Link]:
    """The tabs of the platform's pages."""
    names = [
        ("platform", _("Health")),
        ("platform-people", _("People")),
        ("platform-nodes", _("Nodes")),
        ("platform-queue", _("Queue")),
    ]
    return [Link(label, address(f"web:{name}"), current=name == current) for name, label in names]


def version_tabs(version: ScriptVersion, current: str, waiting: int) -> list[Link]:
    """The tabs of a script version's pages; the review's says how many threads are open."""
    names = [
        ("version", _("Overview")),
        ("version-source", _("Source")),
        ("version-changes", _("Changes")),
        ("version-review", _("Review ({waiting} open)").format(waiting=waiting) if waiting else _("Review")),
    ]
    return [Link(label, address(f"web:{name}", version.pk), current=name == current) for name, label in names]


def crumbs_to_studies() -> list[tuple[str, str]]:
    """The way to a study's page."""
    return [(_("Studies"), address("web:studies"))]


def crumbs_in_study(study: Study) -> list[tuple[str, str]]:
    """The way to a page inside a study."""
    return [*crumbs_to_studies(), (study.title, address("web:study", study.pk))]

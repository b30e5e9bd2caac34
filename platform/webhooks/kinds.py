"""What is told, and from which entry of the log it is told. Names are stable: receivers go by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from django.utils.translation import gettext_noop


@dataclass(frozen=True)
class Kind:
    """One kind of news.

    Attributes:
        name: such as "run.completed".
        words: for people.
        state: of the object now, where the kind alone settles it.
    """

    name: str
    words: str
    state: str = ""


TEST = "webhook.test"
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "runs:run:created": Kind("run.created", gettext_noop("A run is planned"), "draft"),
        "runs:run:forked": Kind("run.created", gettext_noop("A run is planned"), "draft"),
        "runs:run:queued": Kind("run.queued", gettext_noop("A run is queued"), "queued"),
        "runs:run:began": Kind("run.started", gettext_noop("A run begins or goes on"), "running"),
        "runs:run:resumed": Kind("run.started", gettext_noop("A run begins or goes on"), "running"),
        "runs:round:committed": Kind("run.round_committed", gettext_noop("A round is committed")),
        "runs:run:paused": Kind("run.paused", gettext_noop("A run is paused"), "paused"),
        "runs:run:completed": Kind("run.completed", gettext_noop("A run is completed"), "completed"),
        "runs:run:failed": Kind("run.failed", gettext_noop("A run failed"), "failed"),
        "runs:run:stopped": Kind("run.stopped", gettext_noop("A run is stopped"), "stopped"),
        "scripts:approval:recorded": Kind("approval.recorded", gettext_noop("A site approves or rejects a script")),
        "scripts:approval:revoked": Kind("approval.revoked", gettext_noop("An approval ends"), "revoked"),
        "releases:release:requested": Kind(
            "release.requested", gettext_noop("Somebody asks for a model's release"), "requested"
        ),
        "releases:release:granted": Kind("release.granted", gettext_noop("A model's release is granted"), "released"),
        "releases:release:refused": Kind("release.refused", gettext_noop("A model's release is refused"), "refused"),
        "releases:release:withdrawn": Kind(
            "release.withdrawn", gettext_noop("A request for a release is taken back"), "withdrawn"
        ),
        "runs:model:downloaded": Kind("release.model", gettext_noop("A model leaves the portal")),
        "runs:file:downloaded": Kind("release.file", gettext_noop("A file of a script's ServerApp leaves the portal")),
        "runs:results:exported": Kind("release.results", gettext_noop("Results leave the portal as a file")),
        "runs:dossier:exported": Kind("release.dossier", gettext_noop("A run's dossier leaves the portal")),
    }
)
WORDS: Mapping[str, str] = MappingProxyType({kind.name: kind.words for kind in KINDS.values()})
NAMES = tuple(WORDS)
# Of an entry's details, those that go along: numbers, states and digests.
TOLD = MappingProxyType({"round": "round", "decision": "decision", "sha256": "sha256", "code": "code"})


def told_details(detail: Mapping[str, Any]) -> dict[str, Any]:
    """What of an entry's details goes along."""
    return {name: detail[key] for key, name in TOLD.items() if detail.get(key) not in (None, "")}

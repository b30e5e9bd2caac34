"""Everything that the pages of a study speak of, fetched in a fixed number of queries for any number of studies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Model, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import Coalesce, RowNumber
from django.utils import timezone

from federation.runs.models import Participant, Round, Run
from nodes.registry.models import Node
from studies.dictionary.models import Dataset, DictionaryVersion
from studies.enrolment.models import Enrolment
from studies.enrolment.states import TAKING_PART
from studies.lifecycle.models import Study
from studies.scripts.models import Approval, ScriptVersion

RUNS = 20


@dataclass
class Picture:
    """One study with what belongs to it; the newest first where there is an order, and of runs the newest alone."""

    study: Study
    dictionary: DictionaryVersion | None = None
    enrolments: list[Enrolment] = field(default_factory=list)
    nodes: dict[UUID, list[Node]] = field(default_factory=dict)
    datasets: dict[UUID, list[Dataset]] = field(default_factory=dict)
    versions: list[ScriptVersion] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    def node_of(self, enrolment: Enrolment) -> Node | None:
        """The node that serves the enrolment: that of its dataset, else the site's best one."""
        nodes = self.nodes.get(enrolment.site_id, [])
        chosen = enrolment.dataset.node_id if enrolment.dataset else None
        ranks = {"active": 0, "frozen": 1, "pending": 2, "expected": 3}
        known = [node for node in nodes if node.state in ranks]
        return min(known, key=lambda node: (str(node.pk) != chosen, ranks[node.state]), default=None)

    def dataset_of(self, enrolment: Enrolment) -> Dataset | None:
        """The bound dataset, else the newest that the site still offers."""
        if enrolment.dataset:
            return enrolment.dataset
        offered = self.datasets.get(enrolment.site_id, [])
        return next((item for item in offered if item.state != "withdrawn"), None)

    def approval_of(self, version: ScriptVersion, enrolment: Enrolment) -> Approval | None:
        """The site's newest word on a version, for the dataset that it has bound."""
        of_site = (
            item for item in self.approvals if item.version_id == version.pk and item.site_id == enrolment.site_id
        )
        chosen = enrolment.dataset_id
        return next((item for item in of_site if chosen is None or item.dataset_id == chosen), None)

    @property
    def taking_part(self) -> list[Enrolment]:
        return [item for item in self.enrolments if item.state in TAKING_PART]


def decision_of(approval: Approval | None) -> str:
    """A site's word on a version as a state: awaited, approved, rejected, revoked or expired."""
    if approval is None:
        return "awaited"
    if approval.state == "revoked":
        return "revoked"
    if approval.decision != "approved":
        return "rejected"
    return "approved" if approval.not_after > timezone.now() else "expired"


# What a list of studies shows, of each kind of thing; to read all of hundreds costs more than all the rest.
SHOWN = {
    Enrolment: (
        "study_id", "site_id", "dataset_id", "state", "site__name",
        "dataset__node_id", "dataset__state", "dataset__site_id", "dataset__study_id",
    ),
    Node: ("site_id", "state", "name"),
    Dataset: ("study_id", "site_id", "node_id", "state"),
    ScriptVersion: ("script_id", "number", "state", "declaration", "script__study_id", "script__name"),
    Approval: ("version_id", "site_id", "dataset_id", "state", "decision", "not_after"),
    Run: ("study_id", "version_id", "label", "strategy", "rounds", "state", "quorum", "created_at"),
}  # fmt: skip
Parts = Mapping[type[Model], tuple[str, ...]]


def pictures_of(studies: Iterable[Study], *, for_list: bool = False) -> list[Picture]:
    """The pictures in the studies' order; of things in a list, what it does not show is read when it is asked for."""
    pictures = {study.pk: Picture(study) for study in studies}
    parts: Parts = SHOWN if for_list else {}
    _add_dictionaries(pictures, for_list=for_list)
    _add_sites(pictures, parts)
    versions = _add_scripts(pictures, parts)
    for run in _runs_with_rounds(_newest_runs(pictures)).only(*parts.get(Run, ())):
        run.version = versions[run.version_id]
        pictures[run.study_id].runs.append(run)
    return list(pictures.values())


def sites_in(study: Study) -> Picture:
    """The study's picture without its dictionary, scripts and runs: its sites with their nodes and datasets."""
    pictures = {study.pk: Picture(study)}
    _add_sites(pictures, {})
    return pictures[study.pk]


def approvals_in(study: Study) -> Picture:
    """The study's picture without its dictionary and runs: its sites, and which of its scripts they approved."""
    pictures = {study.pk: Picture(study)}
    _add_sites(pictures, {})
    _add_scripts(pictures, {})
    return pictures[study.pk]


def _runs_with_rounds(runs: Collection[UUID]) -> QuerySet[Run]:
    """Runs, the newest first, with what lists show beside them.

    `asked` is how many sites a run asks, `committed` how many rounds are, `latest_metrics` those of the last round.
    """
    latest = Round.objects.filter(run=OuterRef("pk"), state="committed").order_by("-number").values("metrics")[:1]
    asked = Participant.objects.filter(run=OuterRef("pk"))
    committed = Round.objects.filter(run=OuterRef("pk"), state="committed", number__gt=0)
    told = {"asked": _count(asked), "committed": _count(committed), "latest_metrics": Subquery(latest)}
    return Run.objects.filter(pk__in=runs).annotate(**told).order_by("-created_at")


def _count(of_run: QuerySet[Any]) -> Coalesce:
    """How many rows belong to the run that the query is about."""
    return Coalesce(Subquery(of_run.order_by().values("run").annotate(n=Count("pk")).values("n")), 0)


def _newest_runs(studies: Collection[UUID]) -> list[UUID]:
    """The runs that the pages show: each study's newest, and those that are planned."""
    place = Window(RowNumber(), partition_by=F("study"), order_by=[F("created_at").desc(), F("id")])
    runs = Run.objects.filter(study__in=studies).annotate(place=place)
    return list(runs.filter(Q(place__lte=RUNS) | Q(state="draft")).order_by().values_list("pk", flat=True))


def _add_dictionaries(pictures: dict[UUID, Picture], *, for_list: bool) -> None:
    rows = DictionaryVersion.objects.filter(study__in=pictures)
    versions = rows.defer("variables") if for_list else rows
    for version in versions.order_by("study_id", "-number").distinct("study_id"):
        pictures[version.study_id].dictionary = version


def _add_sites(pictures: dict[UUID, Picture], parts: Parts) -> None:
    sites: set[UUID] = set()
    rows = Enrolment.objects.filter(study__in=pictures).select_related("site", "dataset")
    for enrolment in rows.only(*parts.get(Enrolment, ())).order_by("site__name"):
        pictures[enrolment.study_id].enrolments.append(enrolment)
        sites.add(enrolment.site_id)
    nodes: defaultdict[Any, list[Node]] = defaultdict(list)
    for node in Node.objects.filter(site__in=sites).only(*parts.get(Node, ())).order_by("-created_at"):
        nodes[node.site_id].append(node)
    for picture in pictures.values():
        picture.nodes = {item.site_id: nodes[item.site_id] for item in picture.enrolments}
    datasets = Dataset.objects.filter(study__in=pictures).only(*parts.get(Dataset, ()))
    for dataset in datasets.order_by("-registered_at"):
        pictures[dataset.study_id].datasets.setdefault(dataset.site_id, []).append(dataset)


def _add_scripts(pictures: dict[UUID, Picture], parts: Parts) -> dict[UUID, ScriptVersion]:
    """Returns all versions by their ids."""
    rows = ScriptVersion.objects.filter(script__study__in=pictures).select_related("script")
    shown = parts.get(ScriptVersion)
    rows = rows.only(*shown) if shown else rows.defer("bundle", "files", "findings")
    versions = {version.pk: version for version in rows.order_by("-submitted_at")}
    for version in versions.values():
        pictures[version.script.study_id].versions.append(version)
    approvals = Approval.objects.filter(version__script__study__in=pictures)
    words = parts.get(Approval)
    approvals = approvals.only(*words) if words else approvals.select_related("site").defer("envelope", "revocation")
    for approval in approvals.order_by("-recorded_at"):
        approval.version = versions[approval.version_id]
        pictures[approval.version.script.study_id].approvals.append(approval)
    return versions

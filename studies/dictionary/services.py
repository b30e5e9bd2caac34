"""Publishing data dictionaries; registering the datasets that nodes offer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import Site, User
from accounts.permissions import Permission, SiteAgent, check
from audit.services import record
from fedstudy_core.dictionary import parse
from fedstudy_core.errors import Conflict, FieldProblem, Forbidden, Invalid
from fedstudy_core.wire import DatasetRequest
from studies.dictionary import states
from studies.dictionary.models import Dataset, DictionaryVersion
from studies.dictionary.selectors import current_dictionary
from studies.dictionary.signals import dataset_changed, dictionary_published
from studies.lifecycle.models import Study
from studies.lifecycle.services import lock_for_change
from studies.lifecycle.states import INVITING

EDGES = (1, 10, 50, 100, 500, 1_000, 5_000, 10_000, 50_000, 100_000)
BANDS = frozenset({"0", *(f"{low}-{high - 1}" for low, high in pairwise(EDGES)), f"{EDGES[-1]}+"})
MAX_COLUMNS, MAX_FINDINGS = 2_000, 10_000


@transaction.atomic
def publish_dictionary(*, study: Study, variables: object, by: User) -> DictionaryVersion:
    """Publish a version of the study's variables; the same variables as the newest version change nothing.

    Args:
        variables: plain JSON values, as `fedstudy_core.dictionary.parse` reads them.

    Raises:
        Invalid: E_DICTIONARY with problems by field.
        Forbidden, Conflict: as `lock_for_change`.
    """
    study = lock_for_change(study, Permission.DICTIONARY_PUBLISH, by)
    parsed = parse(variables)
    newest = current_dictionary(study)
    if newest is not None and newest.sha256 == parsed.sha256:
        return newest
    version = DictionaryVersion.objects.create(
        study=study,
        number=newest.number + 1 if newest else 1,
        variables=parsed.model_dump(mode="json")["variables"],
        sha256=parsed.sha256,
        created_by=by,
    )
    detail = {"number": version.number, "sha256": version.sha256, "variables": len(parsed.variables)}
    record(action="dictionary:version:published", actor=by, obj=version, study=study.pk, detail=detail)
    dictionary_published.send(sender=DictionaryVersion, dictionary=version, by=by)
    return version


@transaction.atomic
def register_dataset(*, study: Study, site: Site, node_id: UUID | str, facts: DatasetRequest, by: SiteAgent) -> Dataset:
    """Store what a node tells of a dataset: facts, bands and the report of its checks, never a row.

    A dataset whose checks failed is stored as invalid, with its report. The same data under the same name is checked
    again; other data under the same name replaces the dataset.

    Raises:
        Forbidden: E_NODE, E_FORBIDDEN when the node does not speak for the site.
        Conflict: E_STATE without a dictionary or in a study that takes no data; E_NOT_READY when the site
            takes no part.
        Invalid: E_INVALID with problems by field.
    """
    _check_node(by, node_id, site)
    _check_facts(facts)
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    dictionary = current_dictionary(study)
    if study.state not in INVITING or dictionary is None:
        raise Conflict("E_STATE", "This study takes no datasets at the moment.")
    dataset = _replaced(study, node_id, facts, by)
    known = dataset is not None
    if dataset is None:
        dataset = Dataset(study=study, site=site, node_id=str(node_id), name=facts.name, fingerprint=facts.fingerprint)
    dataset.dictionary, dataset.checked_at = dictionary, timezone.now()
    for name, value in _described(facts).items():
        setattr(dataset, name, value)
    dataset.save()
    detail = {"name": dataset.name, "state": dataset.state, "rows_band": dataset.rows_band}
    _record("checked" if known else "registered", dataset, by, detail | {"fingerprint": dataset.fingerprint})
    dataset_changed.send(sender=Dataset, dataset=dataset, by=by)
    return dataset


def _described(facts: DatasetRequest) -> dict[str, Any]:
    passed = facts.report.checked and facts.report.passed
    return {
        "format": facts.format,
        "rows_band": facts.rows_band,
        "columns": list(facts.columns),
        "report": facts.report.model_dump(mode="json"),
        "state": "valid" if passed else "invalid",
    }


def _check_node(by: SiteAgent, node_id: UUID | str, site: Site) -> None:
    if not isinstance(by, SiteAgent) or not by.may_act:
        raise Forbidden("E_NODE", "Datasets are offered by a confirmed node of the site.")
    check(by, Permission.DATASET_REGISTER, site)
    if str(by.pk) != str(node_id):
        raise Forbidden("E_FORBIDDEN", "A node offers its own datasets only.")


def _check_facts(facts: DatasetRequest) -> None:
    problems = []
    if facts.rows_band not in BANDS:
        problems.append(FieldProblem("rows_band", "E_INVALID", "Rows are told as one of the agreed bands only."))
    if len(facts.columns) > MAX_COLUMNS or any(len(name) > 200 for name in facts.columns):
        detail = f"At most {MAX_COLUMNS} columns, with names of at most 200 characters."
        problems.append(FieldProblem("columns", "E_INVALID", detail))
    findings = facts.report.findings
    if len(findings) > MAX_FINDINGS or any(len(finding.detail) > 500 for finding in findings):
        problems.append(FieldProblem("report", "E_INVALID", "There are too many findings, or they are too long."))
    if any(finding.count_band not in {"", *BANDS} for finding in findings):
        problems.append(
            FieldProblem("report", "E_INVALID", "Findings tell their rows as one of the agreed bands only.")
        )
    if problems:
        raise Invalid("E_INVALID", "What the node tells of the dataset does not fit.", errors=problems)


def _replaced(study: Study, node_id: UUID | str, facts: DatasetRequest, by: SiteAgent) -> Dataset | None:
    """The live dataset of this name if its data are the same; one with other data makes room."""
    live = Dataset.objects.select_for_update().filter(study=study, node_id=str(node_id), name=facts.name)
    dataset = live.exclude(state="withdrawn").first()
    if dataset is not None and dataset.fingerprint != facts.fingerprint:
        _withdraw(dataset, "replaced by other data", by)
        return None
    return dataset


@transaction.atomic
def withdraw_datasets(
    *, site: Site | UUID, study: Study | None = None, node_id: UUID | str | None = None, reason: str, by: Any
) -> int:
    """Withdraw what a site offers, in one study or by one node; a consequence of a decision that is checked elsewhere.

    Args:
        by: whoever decided: a person, a node or "system:<part>".

    Returns:
        How many datasets were withdrawn.
    """
    offered = Dataset.objects.filter(site=site).exclude(state="withdrawn")
    if study is not None:
        offered = offered.filter(study=study)
    if node_id is not None:
        offered = offered.filter(node_id=str(node_id))
    studies = Study.objects.select_for_update(no_key=True).filter(pk__in=offered.values("study")).order_by("pk")
    found = list(offered.select_for_update().filter(study__in=list(studies)))
    for dataset in found:
        _withdraw(dataset, reason, by)
    return len(found)


def _withdraw(dataset: Dataset, reason: str, by: Any) -> None:
    states.DATASET.move(dataset, "withdrawn")
    dataset.save(update_fields=["state"])
    _record("withdrawn", dataset, by, {"name": dataset.name, "reason": reason})
    dataset_changed.send(sender=Dataset, dataset=dataset, by=by)


def _record(verb: str, dataset: Dataset, by: Any, detail: dict[str, Any]) -> None:
    action = f"dictionary:dataset:{verb}"
    record(action=action, actor=by, obj=dataset, study=dataset.study_id, site=dataset.site_id, detail=detail)

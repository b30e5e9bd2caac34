"""The model card of a run: what the portal knows of a model, with what its investigator says of it.

After Mitchell et al. 2019, "Model cards for model reporting": details, intended use, data, evaluation by group (by
site, and by the subgroups that the script declares) and caveats. Everything is read from the study, the run's plan and
rounds, and the sites' signed approvals.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from federation.releases.models import CardWords
from federation.releases.selectors import sites_in
from federation.runs.evaluation import Assessment, Evaluation, SubgroupResult
from federation.runs.models import Model, Participant, Run
from federation.runs.roles import is_narrower
from federation.runs.selectors import RunSummary, rounds_of, run_summary
from federation.strategies.catalogue import STRATEGIES
from fedstudy_core.canonical import digest
from fedstudy_core.counts import counted
from fedstudy_core.errors import NotFound
from fedstudy_core.evaluation import Estimate
from fedstudy_core.metrics import WEIGHT
from fedstudy_core.times import format_time
from fedstudy_core.transport import AS_IS
from studies.dictionary.models import Dataset
from studies.enrolment.states import LEVELS
from studies.scripts.signatures import signatures_of

# What is read of each site in a run.
PARTS = ("enrolment__site", "enrolment__dataset__dictionary", "approval__dataset__dictionary")


@dataclass(frozen=True)
class SitePart:
    """A site's part in the model, by what it offered and what it signed.

    Attributes:
        rounds: committed rounds in which it answered.
        rows_band: of its dataset.
        min_sites, min_rows, max_norm, sandbox_min: what its approval asks for; None without one.
        signatures: under its approval: name, role, meaning and signed_at (ISO 8601).
    """

    site: str
    level: str
    rounds: int
    rows_band: str
    min_sites: int | None
    min_rows: int | None
    max_norm: int | None
    sandbox_min: str | None
    signatures: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class Result:
    """How the model did at a site, or at all of them (`site` is empty), with intervals of 95 % where there are some."""

    site: str
    rows: int
    auc: Estimate
    sensitivity: Estimate | None
    specificity: Estimate | None
    brier: float


@dataclass(frozen=True)
class Card:
    """A model card; times are UTC, ISO 8601."""

    run: str
    label: str
    study: str
    question: str
    aims: str
    intended_use: str
    caveats: str
    model_sha256: str
    model_size: int
    model_round: int
    model_parameters: int
    script: str
    script_version: int
    script_sha256: str
    strategy: str
    configuration: dict[str, Any]
    transport: str
    rounds_committed: int
    rounds_planned: int
    started_at: str | None
    ended_at: str | None
    dictionary_version: int | None
    dictionary_sha256: str | None
    sites: tuple[SitePart, ...]
    tested_round: int | None
    results: tuple[Result, ...]
    subgroups: tuple[SubgroupResult, ...]
    metrics: dict[str, float]
    limits: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The card as plain JSON values."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


def sha256_of(card: dict[str, Any]) -> str:
    """SHA-256 of a card's JSON with its names in order, without spaces, in UTF-8."""
    text = json.dumps(card, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return digest(text.encode("utf-8"))


def card_of(run: Run, *, round_number: int | None = None) -> Card:
    """The card of a run's newest model, or of that after a round.

    Raises:
        NotFound: E_NOT_FOUND when no such round is committed.
    """
    model = model_of(run, round_number)
    rounds = [item for item in rounds_of(run) if item.number <= model.round_number]
    summary = run_summary(run, rounds)
    words = CardWords.objects.filter(run=run).first() or CardWords(run=run)
    participants = list(run.participants.select_related(*PARTS))
    answered = _answered(rounds)
    datasets = [dataset for item in participants if (dataset := dataset_of(item)) is not None]
    dictionary = max((item.dictionary for item in datasets), key=lambda item: item.number, default=None)
    parts = tuple(_part(item, answered.get(item.pk, 0)) for item in participants)
    return Card(
        run=str(run.pk),
        label=run.label,
        study=run.study.title,
        question=run.study.summary,
        aims=run.study.aims,
        intended_use=words.intended_use,
        caveats=words.caveats,
        model_sha256=model.sha256,
        model_size=model.size,
        model_round=model.round_number,
        model_parameters=sum(prod(shape) for shape, _ in model.schema.values()),
        script=run.version.script.name,
        script_version=run.version.number,
        script_sha256=run.version.sha256,
        strategy=STRATEGIES[run.strategy].title if run.strategy in STRATEGIES else run.strategy,
        configuration={**run.config, **run.strategy_parameters},
        transport=run.transport,
        rounds_committed=summary.committed,
        rounds_planned=run.rounds,
        started_at=format_time(run.started_at) if run.started_at else None,
        ended_at=format_time(run.ended_at) if run.ended_at else None,
        dictionary_version=dictionary.number if dictionary else None,
        dictionary_sha256=dictionary.sha256 if dictionary else None,
        sites=parts,
        tested_round=summary.evaluation.round if summary.evaluation else None,
        results=tuple(_results(summary.evaluation)),
        subgroups=summary.evaluation.subgroups if summary.evaluation else (),
        metrics=_metrics(summary),
        limits=tuple(_limits(model, summary, parts)),
    )


def model_of(run: Run, round_number: int | None = None) -> Model:
    """A run's newest model, or that after a round. Raises NotFound (E_NOT_FOUND)."""
    models = run.models.all() if round_number is None else run.models.filter(round_number=round_number)
    model = models.order_by("round_number").last()
    if model is None:
        raise NotFound("E_NOT_FOUND", "There is no model yet: no such round has been committed.")
    return model


def _answered(rounds: list[Any]) -> dict[int, int]:
    """In how many committed rounds each participant answered, without the preparation."""
    found: dict[int, int] = {}
    for round_ in rounds:
        if round_.number > 0 and round_.state == "committed":
            for key in {row.participant_id for row in round_.participations.all() if row.state == "done"}:
                found[key] = found.get(key, 0) + 1
    return found


def dataset_of(participant: Participant) -> Dataset | None:
    """What the approval names; before the run began, what the site offers."""
    return participant.approval.dataset if participant.approval else participant.enrolment.dataset


def _part(participant: Participant, rounds: int) -> SitePart:
    approval = participant.approval
    statement = approval.statement if approval else {}
    privacy, outputs = statement.get("privacy", {}), statement.get("outputs", {})
    dataset, level = dataset_of(participant), participant.level
    return SitePart(
        site=participant.enrolment.site.name,
        level=f"{level}: {LEVELS[level]}" + (", here only testing" if is_narrower(participant.role, level) else ""),
        rounds=rounds,
        rows_band=dataset.rows_band if dataset else "",
        min_sites=privacy.get("min_sites"),
        min_rows=privacy.get("min_rows"),
        max_norm=outputs.get("max_norm"),
        sandbox_min=statement.get("sandbox_min"),
        signatures=tuple(item.as_json() for item in signatures_of(approval)) if approval else (),
    )


def _metrics(summary: RunSummary) -> dict[str, float]:
    """What the script reports over all sites, but the number of rows."""
    found = {name: value for name, value in summary.pooled.items() if name != WEIGHT}
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}


def _results(evaluation: Evaluation | None) -> Iterator[Result]:
    if evaluation is None:
        return
    for item in (evaluation.together, *evaluation.sites):
        yield _result(item)


def _result(item: Assessment) -> Result:
    return Result(
        site=item.site,
        rows=item.positives + item.negatives,
        auc=item.auc,
        sensitivity=item.at_half.sensitivity,
        specificity=item.at_half.specificity,
        brier=item.calibration.brier,
    )


def _limits(model: Model, summary: RunSummary, parts: tuple[SitePart, ...]) -> Iterator[str]:
    """What the facts themselves say against trusting the model further than it goes."""
    run, took_part = model.run, [part for part in parts if part.rounds]
    yield (
        f"{counted(len(took_part), 'site')} took part. The model was tested on rows of the same sites; how it does "
        "elsewhere is not known."
    )
    if run.parent is not None:
        yield (
            f"The run began with the model of round {run.parent_round} of “{run.parent.label}”. Sites in this model: "
            f"{', '.join(site.name for site in sites_in(model))}."
        )
    if summary.committed < run.rounds:
        yield f"{summary.committed} of {run.rounds} planned rounds are in this model; the run is {run.state}."
    evaluation = summary.evaluation
    if evaluation is None:
        yield "The script reports no scores of test rows: there are no intervals and no calibration."
    else:
        if not evaluation.subgroups:
            yield "The script counts no subgroups of patients apart: how the model does in each is not known."
        untested = sorted({part.site for part in took_part} - {item.site for item in evaluation.sites})
        if untested:
            yield f"In the test of round {evaluation.round} there is no result of {', '.join(untested)}."
    absent = [part.site for part in parts if not part.rounds]
    if absent:
        yield f"Planned, and in none of the rounds: {', '.join(absent)}."
    if run.strategy not in STRATEGIES:
        yield "The script's own ServerApp combined the sites' answers; the portal records them, not how."
    if run.transport != AS_IS:
        yield "Numbers were rounded to 16 bits on their way between the sites and the centre."

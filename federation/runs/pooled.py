"""Pooled rows in runs: which may use a pool's table now, and which models have seen a site's rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from django.db.models import Case, Count, F, IntegerField, Min, OuterRef, Q, QuerySet, Subquery, When
from django.utils import timezone

from federation.runs.models import Model, Participant, Participation, Run
from federation.runs.phases import EVALUATE
from studies.dictionary.models import Dataset
from studies.enrolment.models import Enrolment
from studies.pooling.models import PoolConsent, PooledTable

REVOKED = "E_POOL_REVOKED"


def _table_of(dataset: Dataset | None) -> PooledTable | None:
    """The pool node's table that a dataset is, if it is one."""
    table: PooledTable | None = getattr(dataset, "pooled_table", None)
    return table


def holds_what_it_may_not(dataset: Dataset | None) -> bool:
    """Whether a dataset is a pool node's table with rows that nobody may use any more."""
    table = _table_of(dataset)
    return table is not None and not table.is_good


def pool_is_stale(participant: Participant) -> bool:
    """The same of the dataset that a participant's approval names."""
    return participant.approval is not None and holds_what_it_may_not(participant.approval.dataset)


def levels_where_pooled(enrolments: Collection[Enrolment], testing: Collection[UUID] = ()) -> Mapping[UUID, str]:
    """The levels of their consents, by enrolment, of those of these sites whose rows are in a pool's table among them.

    Where both take part, a site is asked for no more than that, whatever its own level is: its rows count in the table.

    Args:
        testing: enrolments that only test: a pool node among them trains on nobody's rows.
    """
    datasets = [item.dataset_id for item in enrolments if item.dataset_id and item.pk not in testing]
    consents = PoolConsent.objects.filter(tables__dataset__in=datasets, state="valid", not_after__gt=timezone.now())
    by_site = dict(consents.values_list("site", "level"))
    return {item.pk: by_site[item.site_id] for item in enrolments if item.site_id in by_site}


def runs_with(consent: PoolConsent) -> QuerySet[Run]:
    """The runs whose models have seen the rows that a site pooled, and those that go on from such a model.

    A run counts from its first committed round for which the pool node answered, other than by testing; what was forked
    from a round before that has not seen them. `made` says how many of its models that concerns, `latest_model` the
    SHA-256 of the newest.
    """
    first = _first_rounds(consent)
    since = Case(*(When(pk=run, then=number) for run, number in first.items()), output_field=IntegerField())
    newest = Model.objects.filter(run=OuterRef("pk")).order_by("-round_number")
    rows = Run.objects.filter(pk__in=first).select_related("version__script", "study").annotate(since=since)
    concerned = Count("models", filter=Q(models__round_number__gte=F("since")))
    return rows.annotate(made=concerned, latest_model=Subquery(newest.values("sha256")[:1])).order_by("-created_at")


def tables_seen(run: Run, until: int) -> set[UUID]:
    """The datasets of pool nodes on which a run's models up to this round were trained, the run's own rounds alone."""
    seen = _training().filter(round__run=run, round__number__lte=until, approval__dataset__pooled_table__isnull=False)
    return set(seen.order_by().values_list("approval__dataset", flat=True))


def _training() -> QuerySet[Participation]:
    """Answers that are in a committed round's model."""
    return Participation.objects.filter(~Q(phase=EVALUATE), state="done", round__state="committed")


def _first_rounds(consent: PoolConsent) -> dict[UUID, int]:
    """By run the first round whose model has seen the rows; 0 of those that begin with such a model of another run."""
    seen = _training().filter(approval__dataset__pooled_table__consents=consent)
    rows = seen.order_by().values_list("round__run").annotate(first=Min("round__number"))
    first: dict[UUID, int] = dict(rows)
    young = set(first)
    while young:
        forks = Run.objects.filter(parent__in=young).only("pk", "parent", "parent_round")
        young = {run.pk for run in forks if _has_seen(run, first) and first.get(run.pk) != 0}
        first |= dict.fromkeys(young, 0)
    return first


def _has_seen(fork: Run, first: Mapping[UUID, int]) -> bool:
    """Whether the model with which a fork began had seen the rows."""
    since = None if fork.parent_id is None else first.get(fork.parent_id)
    return since is not None and fork.parent_round is not None and fork.parent_round >= since

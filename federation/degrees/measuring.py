"""What the runs of a comparison reported: for each the sites' tests of its last model, and what it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Max, Prefetch

from federation.degrees.models import DegreeComparison, DegreeEntry
from federation.runs.comparing import Effort, Rounds, committed_rounds, effort_of
from federation.runs.models import Participant, Participation, Run
from federation.runs.phases import EVALUATE, TRAIN
from fedstudy_core.figures import Metrics
from fedstudy_core.metrics import REPLICATES_OF
from studies.enrolment.models import Enrolment
from studies.pooling.models import PoolConsent

BOOTSTRAP = "bootstrap"  # the parameter by which a script is asked for replicates of its last test


@dataclass(frozen=True)
class Measured:
    """A run of a comparison as far as it is. Sites go by the ids of their enrolments.

    Attributes:
        trains: who was to train, the pool node among them.
        tests: what each site said of its test of the last tested model.
        trained: rows that trained it at each site's own node.
        exposed: rows by site that had left for the pool node, when it trained on these.
        pooled: rows on which the pool node trained.
    """

    entry: DegreeEntry
    run: Run
    trains: frozenset[UUID]
    tests: Mapping[UUID, Metrics]
    trained: Mapping[UUID, int]
    exposed: Mapping[str, int]
    pooled: int
    effort: Effort

    @property
    def is_tested(self) -> bool:
        """Whether it is over, and its last model was tested."""
        return self.run.state == "completed" and bool(self.tests)


def ended_untold(item: Measured) -> bool:
    """Whether a run ended early after a test that nobody knew to be its last: so it has no bootstrap replicates.

    Where some sites only test, and with strategies that ask one site after the other, it is that test that ends it.
    """
    run = item.run
    early = run.ends_after is not None and run.ends_after < run.rounds
    asked = early and item.is_tested and bool(run.config.get(BOOTSTRAP))
    return asked and not any(REPLICATES_OF in metrics for metrics in item.tests.values())


@dataclass(frozen=True)
class Measurements:
    """All runs of a comparison in its order, and the sites with rows of their own by name."""

    sites: tuple[Enrolment, ...]
    runs: tuple[Measured, ...]


def measure(comparison: DegreeComparison) -> Measurements:
    """Gather what the comparison's runs reported, in a fixed number of queries."""
    entries = _entries(comparison)
    rounds = committed_rounds([entry.run for entry in entries])
    trained, tests = _trained(rounds), _tests(rounds)
    sites: dict[UUID, Enrolment] = {}
    for entry in entries:
        for item in entry.run.participants.all():
            if not _is_pool(item):
                sites.setdefault(item.enrolment_id, item.enrolment)
    order = tuple(sorted(sites.values(), key=lambda item: item.site.name))
    measured = [_measured(entry, rounds, trained[entry.run_id], tests[entry.run_id]) for entry in entries]
    return Measurements(order, tuple(measured))


def _entries(comparison: DegreeComparison) -> list[DegreeEntry]:
    asked = Participant.objects.select_related("enrolment__site", "enrolment__dataset__pooled_table")
    consents = PoolConsent.objects.select_related("site").prefetch_related("sent").defer("envelope", "revocation")
    rows = comparison.entries.select_related("run__version__script", "enrolment__site", "table")
    rows = rows.defer("run__version__bundle")
    return list(rows.prefetch_related(Prefetch("run__participants", asked), Prefetch("table__consents", consents)))


def _is_pool(participant: Participant) -> bool:
    return getattr(participant.enrolment.dataset, "pooled_table", None) is not None


def _trained(rounds: Rounds) -> dict[UUID, dict[UUID, int]]:
    """By run the rows on which each site trained."""
    found: dict[UUID, dict[UUID, int]] = {run: {} for run in rounds}
    answers = Participation.objects.filter(
        phase=TRAIN, state="done", round__run__in=rounds, round__state="committed", examples__isnull=False
    )
    rows = answers.order_by().values_list("round__run", "participant__enrolment").annotate(most=Max("examples"))
    for run, site, most in rows:
        found[run][site] = most
    return found


def _tests(rounds: Rounds) -> dict[UUID, dict[UUID, Metrics]]:
    """By run what its sites said when they tested it last."""
    found: dict[UUID, dict[UUID, Metrics]] = {run: {} for run in rounds}
    tested = [[row.pk for row in rows if row.number and row.metrics.get(EVALUATE)] for rows in rounds.values()]
    answers = Participation.objects.filter(
        phase=EVALUATE, state="done", round__in=[rows[-1] for rows in tested if rows]
    )
    for run, site, metrics in answers.values_list("round__run", "participant__enrolment", "metrics"):
        found[run][site] = metrics
    return found


def _measured(
    entry: DegreeEntry, rounds: Rounds, trained: Mapping[UUID, int], tests: Mapping[UUID, Metrics]
) -> Measured:
    pools = {item.enrolment_id for item in entry.run.participants.all() if _is_pool(item)}
    return Measured(
        entry=entry,
        run=entry.run,
        trains=frozenset(item.enrolment_id for item in entry.run.participants.all() if item.trains),
        tests={site: metrics for site, metrics in tests.items() if site not in pools},
        trained={site: rows for site, rows in trained.items() if site not in pools},
        exposed=_exposed(entry),
        pooled=sum(rows for site, rows in trained.items() if site in pools),
        effort=effort_of(entry.run, rounds[entry.run_id]),
    )


def _exposed(entry: DegreeEntry) -> dict[str, int]:
    consents = entry.table.consents.all() if entry.table else ()
    return {item.site.name: sum(sent.rows for sent in item.sent.all() if sent.state != "refused") for item in consents}

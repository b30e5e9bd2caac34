"""Comparisons of degrees of federation: plan them, start them, read their tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fedstudy_client.following import follow
from fedstudy_client.records import FINAL
from fedstudy_client.records_degrees import DegreeComparison
from fedstudy_client.resources.base import Ref, Resource, id_of


class Degrees(Resource):
    """One script under one plan, trained by each site alone, by all of them, and on pooled rows."""

    def list(self, study: Ref) -> list[DegreeComparison]:
        """The study's comparisons, newest first, without their tables."""
        return [DegreeComparison.read(row) for row in self._http.each(f"studies/{id_of(study)}/degree-comparisons")]

    def get(self, comparison: Ref, *, metric: str | None = None) -> DegreeComparison:
        """A comparison with its tables, of the script's headline or of another metric."""
        return DegreeComparison.read(self._http.get(f"degree-comparisons/{id_of(comparison)}", metric=metric))

    def create(
        self,
        study: Ref,
        version: Ref,
        *,
        label: str = "",
        kinds: Sequence[str] | None = None,
        seeds: Sequence[int] | None = None,
        start: bool = True,
        **plan: Any,
    ) -> DegreeComparison:
        """Plan the runs of a comparison, and start them.

        Args:
            kinds: of "alone", "left-out", "federated", "hybrid" and "central"; all when None. What the study does not
                allow now is in `lacking`, and planned by `start` once it does.
            seeds: each way of training is run once for each of them, 10 at most; that of the plan alone when None.
            plan: what all runs share, as in `runs.create`: rounds, strategy, strategy_parameters, config and others.
        """
        body = {"version": id_of(version), "label": label, "start": start, **plan, **_wanted(kinds, seeds)}
        return DegreeComparison.read(self._http.post(f"studies/{id_of(study)}/degree-comparisons", body))

    def of_run(
        self, run: Ref, *, kinds: Sequence[str] | None = None, seeds: Sequence[int] | None = None, start: bool = True
    ) -> DegreeComparison:
        """The same by the plan of a run, which takes its place in the comparison where all sites tested it."""
        body = {"start": start, **_wanted(kinds, seeds)}
        return DegreeComparison.read(self._http.post(f"runs/{id_of(run)}/degree-comparisons", body))

    def start(
        self, comparison: Ref, *, seeds: Sequence[int] | None = None, personalised: Sequence[str] | None = None
    ) -> DegreeComparison:
        """Plan what has become possible, and start what has not begun, failed or was stopped.

        Args:
            seeds: that are to be added to the comparison's.
            personalised: strategies of its `offered`, by which all sites are to train besides: each keeps a part of
                the model, which may help where the shared one is worse than a site's own.
        """
        there = f"degree-comparisons/{id_of(comparison)}/start"
        more = {} if personalised is None else {"personalised": [*personalised]}
        return DegreeComparison.read(self._http.post(there, {**_wanted(None, seeds), **more}))

    def wait(
        self,
        comparison: Ref,
        *,
        timeout: float = 3600.0,
        every: float = 1.0,
        progress: Callable[[DegreeComparison], None] | None = None,
    ) -> DegreeComparison:
        """Follow a comparison until all its runs have ended.

        Args:
            timeout: seconds after which waiting (not the runs) ends with the problem E_DEADLINE.
            every: seconds between two looks.
            progress: called with the comparison at each look.
        """
        return follow(lambda: self.get(comparison), timeout=timeout, every=every, progress=progress, late=_late)


def _late(found: DegreeComparison) -> str:
    open_ = sum(item["run"]["state"] not in FINAL for item in found.runs)
    return f"{open_} of {len(found.runs)} runs are still to come."


def _wanted(kinds: Sequence[str] | None, seeds: Sequence[int] | None) -> dict[str, Any]:
    return {name: [*given] for name, given in (("kinds", kinds), ("seeds", seeds)) if given is not None}

"""Runs: plan, start, follow, and fetch what came out."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.records import Run
from fedstudy_client.resources.base import Ref, Resource, id_of

Value = int | float | str | bool


class Runs(Resource):
    """Runs of approved versions."""

    def list(self, study: Ref) -> list[Run]:
        """The study's runs, newest first."""
        return [Run.read(row) for row in self._http.each(f"studies/{id_of(study)}/runs")]

    def get(self, run: Ref) -> Run:
        """One run as it stands now."""
        return Run.read(self._http.get(f"runs/{id_of(run)}"))

    def create(
        self,
        study: Ref,
        version: Ref,
        *,
        label: str = "",
        rounds: int = 10,
        strategy: str = "fedavg",
        strategy_parameters: Mapping[str, Value] | None = None,
        config: Mapping[str, Value] | None = None,
        enrolments: Sequence[Ref] | None = None,
        quorum: int | None = None,
        deadline_s: int = 600,
        wait_s: int = 60,
    ) -> Run:
        """Plan a run; nothing is sent to a site before `start`.

        Args:
            config: values of the script's parameters; declared defaults fill in the rest.
            enrolments: the sites that take part; all that are ready when None.
            quorum: answers that a round needs; all sites when None.
            deadline_s: seconds that a phase of a round waits for its sites.
            wait_s: seconds that the start waits for missing sites.
        """
        body: dict[str, Any] = {
            "version": id_of(version),
            "label": label,
            "rounds": rounds,
            "strategy": strategy,
            "strategy_parameters": dict(strategy_parameters or {}),
            "config": dict(config or {}),
            "deadline_s": deadline_s,
            "wait_s": wait_s,
        }
        if enrolments is not None:
            body["sites"] = [id_of(enrolment) for enrolment in enrolments]
        if quorum is not None:
            body["quorum"] = quorum
        return Run.read(self._http.post(f"studies/{id_of(study)}/runs", body))

    def start(self, run: Ref) -> Run:
        """Start the run; it begins when its sites are there."""
        return Run.read(self._http.post(f"runs/{id_of(run)}/start"))

    def stop(self, run: Ref, *, reason: str = "") -> Run:
        """Stop the run for good; what is committed stays."""
        return Run.read(self._http.post(f"runs/{id_of(run)}/stop", {"reason": reason}))

    def wait(
        self,
        run: Ref,
        *,
        timeout: float = 3600.0,
        every: float = 0.5,
        progress: Callable[[Run], None] | None = None,
    ) -> Run:
        """Follow a run until it has ended.

        Args:
            timeout: seconds after which waiting (not the run) ends with the problem E_DEADLINE.
            every: seconds between two looks.
            progress: called with the run at each look.
        """
        until = time.monotonic() + timeout
        while True:
            found = self.get(run)
            if progress is not None:
                progress(found)
            if found.is_final:
                return found
            if time.monotonic() > until:
                raise FedStudyProblem("E_DEADLINE", f"The run is still {found.state} after {timeout:.0f} s.")
            time.sleep(every)

    def rounds(self, run: Ref) -> builtins.list[dict[str, Any]]:
        """Every round with its metrics, bytes, durations and participations."""
        return builtins.list(self._http.each(f"runs/{id_of(run)}/rounds"))

    def events(self, run: Ref) -> builtins.list[dict[str, Any]]:
        """The run's events, oldest first."""
        return builtins.list(self._http.each(f"runs/{id_of(run)}/events"))[::-1]

    def results(self, run: Ref) -> dict[str, Any]:
        """Metrics per site and pooled after the last round."""
        return self._http.get(f"runs/{id_of(run)}/results")

    def model(self, run: Ref, *, round: int | None = None, into: Path | str | None = None) -> bytes:
        """The parameters after a committed round (the last one by default), as safetensors."""
        content = self._http.download(f"runs/{id_of(run)}/model", round=round)
        if into is not None:
            Path(into).write_bytes(content)
        return content

"""Runs: plan, start, follow, and fetch what came out."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fedstudy_client.dossiers import keep
from fedstudy_client.following import follow
from fedstudy_client.listing import Records
from fedstudy_client.records import Run, Schedule
from fedstudy_client.resources.base import Ref, Resource, id_of
from fedstudy_client.rounds import Rounds

Value = int | float | str | bool


class Runs(Resource):
    """Runs of approved versions."""

    def list(self, study: Ref) -> Records[Run]:
        """The study's runs, newest first; notebooks show a table."""
        return Records(Run.read(row) for row in self._http.each(f"studies/{id_of(study)}/runs"))

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
        exchanges: int | None = None,
        strategy: str | None = None,
        strategy_parameters: Mapping[str, Value] | None = None,
        config: Mapping[str, Value] | None = None,
        enrolments: Sequence[Ref] | None = None,
        validators: Sequence[Ref] = (),
        quorum: int | None = None,
        deadline_s: int = 600,
        wait_s: int = 60,
        priority: str = "normal",
        transport: str = "float32",
        metric: str | None = None,
        better: str | None = None,
        patience: int = 0,
        min_delta: float = 0.0,
    ) -> Run:
        """Plan a run; nothing is sent to a site before `start`.

        Args:
            exchanges: in place of `rounds` where the script leads itself: the most that it may make.
            strategy: federated averaging when None, or the script's own ServerApp where it brings one.
            config: values of the script's parameters; declared defaults fill in the rest.
            enrolments: the sites that take part; all that are ready when None.
            validators: those of them that only test the model, though their level allows more.
            quorum: answers that each phase of a round needs, of the sites that train; all of these when None.
            deadline_s: seconds that a phase of a round waits for its sites.
            wait_s: seconds that the start waits for missing sites.
            priority: "low", "normal" or "high": a head start in the queue.
            transport: "float16" narrows arrays to 16 bits for the way: half the bytes, each number rounded.
            metric: by which the best round is chosen; the script's headline when None, none when "".
            better: "higher" or "lower" values of it; what its name suggests when None.
            patience: evaluated rounds without gain after which the run ends; 0 for never.
            min_delta: a gain has to be larger than this.
        """
        body: dict[str, Any] = {
            "version": id_of(version),
            "label": label,
            "rounds": rounds,
            "strategy_parameters": dict(strategy_parameters or {}),
            "config": dict(config or {}),
            "deadline_s": deadline_s,
            "wait_s": wait_s,
            "priority": priority,
            "transport": transport,
            "patience": patience,
            "min_delta": min_delta,
        }
        left_open = {"strategy": strategy, "exchanges": exchanges, "quorum": quorum, "metric": metric, "better": better}
        body |= {name: value for name, value in left_open.items() if value is not None}
        if enrolments is not None:
            body["sites"] = [id_of(enrolment) for enrolment in enrolments]
        if validators:
            body["validators"] = [id_of(enrolment) for enrolment in validators]
        return Run.read(self._http.post(f"studies/{id_of(study)}/runs", body))

    def fork(self, run: Ref, round: int, **changes: Any) -> Run:
        """Plan a run that begins with the model of a committed round; `changes` are fields of the plan, as in `create`.

        What is not named stays as in the run that it comes from; `enrolments` names other sites, `validators` those of
        them that only test.
        """
        for name, field in (("enrolments", "sites"), ("validators", "validators")):
            if name in changes:
                changes[field] = [id_of(enrolment) for enrolment in changes.pop(name)]
        return Run.read(self._http.post(f"runs/{id_of(run)}/fork", {"round": round, **changes}))

    def pause(self, run: Ref, *, at_once: bool = False) -> Run:
        """Pause the run after the round at work; at once where that is not to be waited for."""
        return Run.read(self._http.post(f"runs/{id_of(run)}/pause", {"at_once": at_once}))

    def resume(self, run: Ref) -> Run:
        """Let a paused, failed or stopped run go on after its last committed round."""
        return Run.read(self._http.post(f"runs/{id_of(run)}/resume"))

    def prioritise(self, run: Ref, priority: str) -> Run:
        """Give a run that has not begun "low", "normal" or "high" priority."""
        return Run.read(self._http.post(f"runs/{id_of(run)}/priority", {"priority": priority}))

    def schedule(self, run: Ref, kind: str, **timing: Any) -> Schedule:
        """Have new runs made from the run's plan.

        Args:
            kind: "once" (with `at`), "weekly" (`weekdays` from 0 for Monday, `time`, `time_zone`) or "ready"
                (`sites_needed`).
        """
        body = {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in timing.items()}
        return Schedule.read(self._http.post(f"runs/{id_of(run)}/schedules", {"kind": kind, **body}))

    def schedules(self, study: Ref) -> builtins.list[Schedule]:
        """The study's schedules, newest first."""
        return [Schedule.read(row) for row in self._http.each(f"studies/{id_of(study)}/schedules")]

    def get_schedule(self, schedule: Ref) -> Schedule:
        """One schedule as it stands now."""
        return Schedule.read(self._http.get(f"schedules/{id_of(schedule)}"))

    def change_schedule(self, schedule: Ref, verb: str) -> Schedule:
        """Change a schedule; the verb is "suspend", "resume" or "end"."""
        return Schedule.read(self._http.post(f"schedules/{id_of(schedule)}/{verb}"))

    def strategies(self) -> builtins.list[dict[str, Any]]:
        """The strategies that a run may choose, each with its parameters and what it needs."""
        return list(self._http.get("strategies")["results"])

    def start(self, run: Ref) -> Run:
        """Queue the run; it begins when its turn has come and its sites are there."""
        return Run.read(self._http.post(f"runs/{id_of(run)}/start"))

    def stop(self, run: Ref, *, reason: str = "") -> Run:
        """End the run, also before it begins; what is committed stays, and `resume` goes on from there."""
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
        return follow(
            lambda: self.get(run),
            timeout=timeout,
            every=every,
            progress=progress,
            late=lambda found: f"The run is still {found.state} after {timeout:.0f} s.",
        )

    def rounds(self, run: Ref) -> Rounds:
        """Every round with its metrics, bytes, durations and participations; notebooks show a table and plots."""
        return Rounds(self._http.each(f"runs/{id_of(run)}/rounds"))

    def events(self, run: Ref) -> builtins.list[dict[str, Any]]:
        """The run's events, oldest first."""
        return builtins.list(self._http.each(f"runs/{id_of(run)}/events"))[::-1]

    def files(self, run: Ref) -> builtins.list[dict[str, Any]]:
        """What the script's own ServerApp left: [{name, form, sha256, size}]."""
        return builtins.list(self._http.each(f"runs/{id_of(run)}/files"))

    def file(self, run: Ref, sha256: str) -> bytes:
        """One of these files, by its digest; the log notes who fetched it."""
        return self._http.download(f"runs/{id_of(run)}/files/{sha256}")

    def results(self, run: Ref) -> dict[str, Any]:
        """Metrics per site and pooled after the last round."""
        return self._http.get(f"runs/{id_of(run)}/results")

    def comparison(self, study: Ref, runs: Sequence[Ref]) -> dict[str, Any]:
        """2 to 6 runs of a study side by side: settings that differ, results by round and site, time and bytes."""
        return self._http.get(f"studies/{id_of(study)}/comparison", runs=",".join(id_of(run) for run in runs))

    def dossier(self, run: Ref, *, into: Path | str | None = None) -> bytes:
        """The run's dossier as a zip file, once it has ended; `fedstudy-verify` verifies it. The log notes who took it.

        Args:
            into: where to keep it: a file that ends in .zip, or a new folder for its single files.
        """
        content = self._http.download(f"runs/{id_of(run)}/dossier")
        if into is not None:
            keep(content, Path(into))
        return content

    def model(self, run: Ref, *, round: int | None = None, best: bool = False, into: Path | str | None = None) -> bytes:
        """The parameters after a committed round (the last one by default, or the best), as safetensors."""
        content = self._http.download(f"runs/{id_of(run)}/model", round=round, best=best or None)
        if into is not None:
            Path(into).write_bytes(content)
        return content

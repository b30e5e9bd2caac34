"""Plays recipes as runs of the study, a few at a time: the study lets two of them be at work at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from bench.reproduce.recipes import Leg, Recipe
from devstack.demo import runs
from devstack.demo.cast import Cast
from devstack.demo.people import sign_in
from devstack.demo.story import Prepared
from devstack.stack import Stack
from fedstudy_client.transport import Transport

AT_ONCE = 3
TESTS_ONLY: Mapping[str, Any] = {"local-steps": 0, "local-epochs": 0}

Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Played:
    """A recipe with one seed: the metrics by centre, and the runs that they are of."""

    recipe: Recipe
    seed: int
    metrics: Mapping[str, Metrics]
    runs: Sequence[str]


@dataclass(frozen=True)
class Player:
    """Starts runs as the study's investigator."""

    stack: Stack
    cast: Cast
    prepared: Prepared

    def play(self, jobs: Sequence[tuple[Recipe, int]]) -> Iterator[Played]:
        """Every recipe with its seed, as they end. Raises runs.RunFailed."""
        sessions: SimpleQueue[Transport] = SimpleQueue()
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            for _ in range(AT_ONCE):
                sessions.put(sign_in(self.stack, self.cast.investigator))
            at_work = [pool.submit(self._with, sessions, recipe, seed) for recipe, seed in jobs]
            try:
                for job in as_completed(at_work):
                    yield job.result()
            finally:
                pool.shutdown(cancel_futures=True)
                for _ in range(AT_ONCE):
                    sessions.get().close()

    def _with(self, sessions: SimpleQueue[Transport], recipe: Recipe, seed: int) -> Played:
        session = sessions.get()
        try:
            return self._play(session, recipe, seed)
        finally:
            sessions.put(session)

    def _play(self, session: Transport, recipe: Recipe, seed: int) -> Played:
        metrics: dict[str, Metrics] = {}
        ids: list[str] = []
        for leg in recipe.legs(seed):
            label = f"{recipe.key}, seed {seed}"
            last = self._run(session, leg, label)
            ids.append(last.id)
            if leg.tested_at is not None:
                last = self._test(session, last.id, leg, f"{label}: test")
                ids.append(last.id)
            metrics |= evaluations(last.last)
        return Played(recipe, seed, metrics, ids)

    def _run(self, session: Transport, leg: Leg, label: str) -> runs.Finished:
        plan = {"version": self.prepared.version, "strategy": leg.strategy, "rounds": leg.rounds, "label": label}
        plan |= {"strategy_parameters": dict(leg.parameters), "config": dict(leg.config), "sites": self._ids(leg.sites)}
        return runs.follow(session, runs.start(session, self.prepared.study, plan), _say_nothing)

    def _test(self, session: Transport, run: str, leg: Leg, label: str) -> runs.Finished:
        """Fork the run's last model to other sites, which test it and train nothing."""
        assert leg.tested_at is not None
        plan: dict[str, Any] = {"round": leg.rounds, "strategy": "fedavg", "strategy_parameters": {}, "rounds": 1}
        plan |= {"config": {**leg.config, **TESTS_ONLY, **leg.tested_with}, "sites": self._ids(leg.tested_at)}
        fork = str(session.post(f"runs/{run}/fork", plan | {"label": label})["id"])
        session.post(f"runs/{fork}/start")
        return runs.follow(session, fork, _say_nothing)

    def _ids(self, sites: Sequence[str]) -> list[str]:
        return [self.prepared.enrolments[site] for site in sites]


def read_kept(file: Path, recipes: Sequence[Recipe], seeds: Sequence[int]) -> list[Played]:
    """What of these an earlier call played and kept; nothing where there is no such file."""
    by_key = {recipe.key: recipe for recipe in recipes}
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    told = [json.loads(line) for line in lines]
    return [
        Played(by_key[item["key"]], item["seed"], item["metrics"], item["runs"])
        for item in told
        if item["key"] in by_key and item["seed"] in seeds
    ]


def keep(file: Path, played: Played) -> None:
    """Add what was played to the file."""
    told = {"key": played.recipe.key, "seed": played.seed, "metrics": played.metrics, "runs": played.runs}
    with file.open("a", encoding="utf-8") as target:
        target.write(json.dumps(told) + "\n")


def _say_nothing(committed: int) -> None:
    """For runs whose rounds nobody watches."""


def evaluations(last_round: Mapping[str, Any]) -> dict[str, Metrics]:
    """Each site's metrics of its test, from the API's account of a run's last round."""
    return {
        answer["site"]: answer["metrics"]
        for answer in last_round["sites"]
        if answer["phase"] == "evaluate" and answer["state"] == "done"
    }

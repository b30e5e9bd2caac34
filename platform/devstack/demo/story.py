"""The story of the demo, in order: accounts, study, nodes, data, signatures, runs, figures."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

from devstack.demo import people, pooled, runs
from devstack.demo.cast import Cast, Hospital
from devstack.demo.figures import Figures, of_last_round
from devstack.demo.people import Sessions
from devstack.demo.runs import Finished
from devstack.demo.telling import Telling
from devstack.stack import Stack
from fedstudy_client.transport import Transport

T = TypeVar("T")
# The steps that `prepare` and `federate` tell of, apart from the rounds of the runs.
PREPARING_STEPS = 7
RUNS_OF_ALL = 2


@dataclass(frozen=True)
class Prepared:
    """A study that is ready for runs: ids at the portal, by centre where there are several."""

    study: str
    version: str
    sites: Mapping[str, str]
    enrolments: Mapping[str, str]
    datasets: Mapping[str, str]
    nodes: Mapping[str, str]
    sessions: Sessions


@dataclass(frozen=True)
class Outcome:
    """What the runs gave. `metrics` are figures by way of training; `run` is the default run's id."""

    run: str
    metrics: Mapping[str, Figures]
    refusals: int
    round_median_s: float
    first_round_s: float


def steps(hospitals: int, rounds: int) -> int:
    """How many steps the whole story has, for the progress bar."""
    return PREPARING_STEPS + 1 + (RUNS_OF_ALL + hospitals) * rounds


def prepare(
    stack: Stack,
    cast: Cast,
    rows: Mapping[str, Path],
    tell: Telling,
    submit: Callable[[Transport, str], str] = people.submit_library_script,
) -> Prepared:
    """Everything before the first run. `rows` is each centre's file, as it lies in the hospital; `submit` is how the PI
    submits the script to the study, and returns the version's id.
    """
    tell.step("Opening the portal: accounts and sites")
    sessions = people.open_accounts(stack, cast)
    sites = people.open_sites(sessions, cast)
    tell.step("The PI drafts the study, its dictionary and its protocol")
    study = people.open_study(sessions, cast)
    tell.step("Sites are invited and accept")
    enrolments = people.enrol_sites(sessions, cast, study, sites)
    tell.step("Hospitals set up their nodes and compare six words")
    nodes = at_each(
        cast,
        lambda hospital: people.enrol_node(stack, sessions.of(hospital.admin), hospital, sites[hospital.centre]),
    )
    for hospital in cast.hospitals:
        stack.start_agent(hospital.node)
    tell.step("Nodes check their rows against the dictionary")
    datasets = at_each(cast, lambda hospital: people.offer_dataset(stack, hospital, study, rows[hospital.centre]))
    tell.step("The PI submits the script")
    investigator = sessions.of(cast.investigator)
    version = submit(investigator, study)
    tell.step("Site admins review the script and sign")
    at_each(cast, lambda hospital: people.approve_script(stack, hospital, version, datasets[hospital.centre]))
    investigator.post(f"studies/{study}/transition", {"to": "active"})
    return Prepared(study, version, sites, enrolments, datasets, nodes, sessions)


def federate(prepared: Prepared, cast: Cast, rows: Mapping[str, Path], rounds: int, tell: Telling) -> Outcome:
    """The runs: all sites with shared normalisation, all with their own, each alone; then pooled training."""
    plan = {"version": prepared.version, "strategy": "fedavg", "rounds": rounds}

    def play(label: str, **more: object) -> Finished:
        run = runs.start(prepared.sessions.of(cast.investigator), prepared.study, plan | {"label": label} | more)
        return runs.follow(prepared.sessions.of(cast.investigator), run, _RoundTeller(tell, label, rounds))

    shared = play("Federated averaging")
    own = play("Federated averaging, each site normalised by itself", config={"normalise": "site"})
    alone = [play(f"{centre} alone", sites=[enrolment], quorum=1) for centre, enrolment in prepared.enrolments.items()]
    tell.step("Training on pooled rows, for comparison")
    together = pooled.train(rows)
    everything = [shared, own, *alone]
    return Outcome(
        run=shared.id,
        metrics={
            "federated": of_last_round(own.last),
            "local": of_last_round(*(run.last for run in alone)),
            "pooled": together["site"],
            "federated_global": of_last_round(shared.last),
            "pooled_global": together["global"],
        },
        refusals=sum(run.refusals for run in everything),
        round_median_s=median([*shared.round_durations_s, *own.round_durations_s]),
        first_round_s=shared.first_round_s,
    )


class _RoundTeller:
    """Turns "so many rounds are committed" into progress."""

    def __init__(self, tell: Telling, label: str, rounds: int) -> None:
        self._tell, self._label, self._rounds, self._told = tell, label, rounds, 0
        tell.note(f"Run: {label}")

    def __call__(self, committed: int) -> None:
        self._tell.advance(f"{self._label}: round {committed} of {self._rounds}", committed - self._told)
        self._told = committed


def at_each(cast: Cast, act: Callable[[Hospital], T]) -> dict[str, T]:
    """What every hospital does at its own console, all at the same time; answers by centre."""
    with ThreadPoolExecutor(max_workers=len(cast.hospitals)) as pool:
        answers = list(pool.map(act, cast.hospitals))
    return {hospital.centre: answer for hospital, answer in zip(cast.hospitals, answers, strict=True)}

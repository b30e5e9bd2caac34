"""The runs of a study's file: which are to be made and started, what they wait for, and whether plans are the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fedstudy_client.records import Run, Version
from fedstudy_client.study_code.model import PlannedRun
from fedstudy_client.study_code.steps import TAKING_PART, Comparing, Step

RUN_DIFFERS = "E_RUN_DIFFERS"
NOT_BEGUN = ("draft", "queued")
UNDER_WAY = ("queued", "waiting", "running", "pausing")
OWN_SERVER, ROUNDS_KEY = "own-server", "num-server-rounds"
_PLAIN = ("deadline_s", "wait_s", "transport", "patience", "min_delta")


def run_steps(comparing: Comparing) -> Iterator[Step]:
    """A step for each run, and one that makes the study active before the first begins."""
    steps = [_step(comparing, planned) for planned in comparing.code.described.runs]
    study = comparing.standing.study
    if study is not None and study.state == "recruiting" and any(step.action == "start" and step.do for step in steps):
        yield Step(
            "change", "study", study.title, "recruiting → active, so that runs can start",
            lambda: comparing.portal.studies.transition(study, "active"),
        )  # fmt: skip
    yield from steps


def made_run(comparing: Comparing, planned: PlannedRun) -> Run | None:
    """The run of a plan at the portal: the newest of its label with the same plan."""
    version = comparing.standing.scripts[planned.script].version if comparing.standing.scripts else None
    for run in comparing.standing.runs.get(planned.label, ()):
        if not differences(comparing, planned, run, version):
            return run
    return None


def differences(comparing: Comparing, planned: PlannedRun, run: Run, version: Version | None) -> list[str]:
    """In what a run at the portal is not what the file plans, as phrases."""
    if version is None or run.raw["version"] != version.id:
        return ["the script is another version"]
    expected = _expected(comparing, planned, version)
    made = {name: run.raw[name] for name in expected if name not in ("sites", "validators")}
    made |= {"sites": {site["name"] for site in run.raw["sites"]}} if "sites" in expected else {}
    made |= {"validators": _validators(planned, run)}
    return [
        phrase for name, value in expected.items() if made[name] != value
        for phrase in _phrases(name, value, made[name])
    ]  # fmt: skip


def _validators(planned: PlannedRun, run: Run) -> set[str]:
    """The sites that only test; one that may do no more does so whether the file says it or not."""
    testing = {site["name"]: site["level"] for site in run.raw["sites"] if site["role"] == "tests"}
    return {name for name, level in testing.items() if level != "F0" or name in planned.validators}


def _phrases(name: str, planned: Any, made: Any) -> Iterator[str]:
    if isinstance(planned, Mapping) and isinstance(made, Mapping):
        for key in sorted({*planned, *made}):
            if planned.get(key) != made.get(key):
                yield f"{name}.{key} is {made.get(key)} at the portal, {planned.get(key)} in the file"
    elif isinstance(planned, set):
        there, here = (", ".join(sorted(names)) or "none" for names in (made, planned))
        yield f"{name} are {there} at the portal, {here} in the file"
    else:
        yield f"{name} is {made} at the portal, {planned} in the file"


def _expected(comparing: Comparing, planned: PlannedRun, version: Version) -> dict[str, Any]:
    """The run that the portal would make of a plan. What the plan leaves to the portal's choice is not there."""
    own = version.declaration.get("server") == "own"
    strategy = planned.strategy or (OWN_SERVER if own else "fedavg")
    rounds = planned.exchanges if own else planned.rounds
    config = {**version.default_config, **planned.config}
    if not own and ROUNDS_KEY in config:
        config[ROUNDS_KEY] = rounds
    expected: dict[str, Any] = {
        "strategy": strategy,
        "strategy_parameters": {**comparing.sources.strategy_defaults.get(strategy, {}), **planned.strategy_parameters},
        "config": config,
        "rounds": rounds,
        **{name: getattr(planned, name) for name in _PLAIN},
    }
    chosen = {"quorum": planned.quorum, "metric": planned.metric, "better": planned.better}
    expected |= {name: value for name, value in chosen.items() if value is not None}
    if planned.sites is not None:
        expected["sites"] = set(planned.sites)
    expected["validators"] = set(planned.validators)
    return expected


def _step(comparing: Comparing, planned: PlannedRun) -> Step:
    named = comparing.standing.runs.get(planned.label, ())
    run = made_run(comparing, planned)
    if run is not None:
        return _step_of_made(comparing, planned, run)
    if named:
        script = comparing.standing.scripts[planned.script]
        found = differences(comparing, planned, named[0], script.version)
        detail = f"It exists with another plan: {'; '.join(found)}. A run's plan never changes: give it a new label."
        return Step("problem", "run", planned.label, detail, code=RUN_DIFFERS)
    return _step_of_new(comparing, planned)


def _step_of_new(comparing: Comparing, planned: PlannedRun) -> Step:
    states = {}
    for name in comparing.code.sites_of(planned):
        enrolment = comparing.standing.enrolments.get(name)
        states[name] = enrolment.state if enrolment else ""
    left = [f"{name} has {state}" for name, state in states.items() if state and state not in TAKING_PART]
    if left:
        detail = f"{', '.join(left)}. Leave such sites out of the run."
        return Step("problem", "run", planned.label, detail, code="E_SITE_LEFT")
    version = comparing.standing.scripts[planned.script].version if comparing.standing.scripts else None
    waits = [name for name, state in states.items() if state != "ready"]
    if waits or version is None:
        detail = f"as soon as {_list(waits)} {'is' if len(waits) == 1 else 'are'} ready" if waits else ""
        return Step("create", "run", planned.label, detail)
    return Step("create", "run", planned.label, do=lambda: _make(comparing, planned, version))


def _make(comparing: Comparing, planned: PlannedRun, version: Version) -> None:
    plan = planned.model_dump(exclude={"script", "sites", "validators"}, exclude_none=True)
    known = comparing.standing.enrolments
    enrolments = [known[name] for name in comparing.code.sites_of(planned)]
    validators = [known[name] for name in planned.validators]
    comparing.portal.runs.create(comparing.study(), version, enrolments=enrolments, validators=validators, **plan)


def _step_of_made(comparing: Comparing, planned: PlannedRun, run: Run) -> Step:
    if run.state in NOT_BEGUN and run.priority != planned.priority:
        detail = f"priority {run.priority} → {planned.priority}"
        prioritise = comparing.portal.runs.prioritise
        return Step("change", "run", run.label, detail, lambda: prioritise(run, planned.priority))
    if run.state == "draft":
        return _step_of_draft(comparing, run)
    told = f"{run.state}, {run.committed} of {run.rounds} rounds"
    if run.state in UNDER_WAY:
        return Step("wait", "run", run.label, told)
    if run.state == "paused":
        return Step("wait", "run", run.label, f"{told}; it goes on with: fedstudy run resume {run.id}")
    reason = f": {run.reason_code} {run.reason}".rstrip() if run.reason_code else ""
    return Step("nothing", "run", run.label, f"{told}{reason}")


def _step_of_draft(comparing: Comparing, run: Run) -> Step:
    """A planned run starts as soon as the portal lets it: when its quorum of sites could take part."""
    missing: Sequence[Mapping[str, str]] = run.raw["missing"]
    hindered = {item["site"] for item in missing}
    training = [site["name"] for site in run.raw["sites"] if site["role"] == "trains"]
    if len(set(training) - hindered) < run.raw["quorum"]:
        return Step("wait", "run", run.label, " ".join(item["detail"] for item in missing))
    return Step("start", "run", run.label, do=lambda: comparing.portal.runs.start(run))


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

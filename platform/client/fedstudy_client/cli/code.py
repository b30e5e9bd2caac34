"""Study as code: `fedstudy plan`, `fedstudy apply`, `fedstudy schema`; and `fedstudy mock`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from fedstudy_client.cli.output import AsJson, Output, plain
from fedstudy_client.cli.session import portal
from fedstudy_client.cli.watching import progress_bar, task_name
from fedstudy_client.client import FedStudy
from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.records import Run

# What reads and compares study files takes longer to import than most commands to run: commands that need it do so.
if TYPE_CHECKING:
    from rich.progress import Progress

    from fedstudy_client.study_code.applying import Plan
    from fedstudy_client.study_code.steps import Step

File = Annotated[Path, typer.Argument(help="The study's file (YAML).")]
_STYLES = {"create": "green", "change": "yellow", "start": "green", "wait": "cyan", "problem": "bold red"}
_DONE = {"create": "created", "change": "changed", "start": "started"}


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(plan)
    app.command()(apply)
    app.command()(schema)
    app.command()(mock)


def plan(
    file: File,
    check: Annotated[bool, typer.Option("--check", help="End with 1 (E_DRIFT) where the two are not alike.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what `apply` would change, and what is waited for; changes nothing."""
    from fedstudy_client.study_code.applying import Study
    from fedstudy_client.study_code.reading import read_study
    from fedstudy_client.study_code.steps import raise_problems

    code, output = read_study(file), Output(as_json)
    with portal() as connected:
        found = Study(connected, code).plan()
    output.facts({"steps": [step.as_json() for step in found.steps]})
    rows = [(_action(step), step.part, step.name, step.detail) for step in found.steps]
    output.table(f"Plan of {file}", ("", "what", "name", "detail"), rows)
    output.say(_summary(found))
    raise_problems(found.steps)
    if check and not found.is_done:
        raise FedStudyProblem("E_DRIFT", f"The portal has not what {file} describes.")


def apply(
    file: File,
    wait: Annotated[
        float | None, typer.Option(min=0, help="Seconds to wait for sites and runs; no end without it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the portal to what the file describes; done twice it changes nothing. Interrupted, it goes on."""
    from fedstudy_client.study_code.applying import Study
    from fedstudy_client.study_code.reading import read_study

    code, output = read_study(file), Output(as_json)
    done: list[Step] = []
    with portal() as connected, progress_bar(quiet=as_json) as bar:
        teller = _Teller(bar, done)
        study = Study(connected, code, told=teller.told, looked=teller.looked)
        reached = study.apply(wait)
        bar.stop()
        _show(connected, reached, done, output)


def schema() -> None:
    """Print the JSON Schema of a study's file, for editors."""
    from fedstudy_client.study_code.model import schema as schema_text

    sys.stdout.write(schema_text())


def mock(
    dictionary: Annotated[Path, typer.Argument(help="The data dictionary (JSON or YAML).")],
    rows: Annotated[int, typer.Option(min=1, help="How many rows.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The CSV file to write; - prints the rows.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same rows.")] = 0,
) -> None:
    """Write synthetic rows that follow a data dictionary; no patient's data are in them."""
    from fedstudy_client.mock import write_mock
    from fedstudy_client.study_code.reading import read_dictionary

    write_mock(read_dictionary(dictionary), rows, output, seed=seed)
    if str(output) != "-":
        typer.echo(f"wrote {rows} rows to {output}")


def draft(connected: FedStudy, file: Path, output: Output) -> None:
    """Draft a study from its file."""
    from fedstudy_client.study_code.applying import Study
    from fedstudy_client.study_code.reading import read_study

    done: list[Step] = []
    found = Study(connected, read_study(file), told=done.append).draft().comparing.study()
    output.facts(found.raw)
    output.say(*map(_did, done), f"The study is a draft: {found.slug}")


class _Teller:
    """Says what `apply` does while it does it: a line for each step, a bar for each run under way."""

    def __init__(self, bar: Progress, done: list[Step]) -> None:
        self._bar, self._done = bar, done
        self._waits: list[tuple[str, str]] = []
        self._tasks: dict[str, int] = {}

    def told(self, step: Step) -> None:
        """A step was done."""
        self._done.append(step)
        self._bar.console.print(_did(step), soft_wrap=True)

    def looked(self, plan: Plan) -> None:
        """Show what is waited for, where that changed, and how far the runs are."""
        waits = [
            (step.name, step.detail) for step in plan.waits if step.part != "run" or step.name not in plan.under_way
        ]
        if waits != self._waits:
            self._waits = waits
            for name, detail in waits:
                self._bar.console.print(plain(f"waiting for {name}: {detail}"), soft_wrap=True)
        for run in plan.runs():
            if run.state != "draft" and (run.id in self._tasks or not run.is_final):
                self._show(run)

    def _show(self, run: Run) -> None:
        if run.id not in self._tasks:
            self._tasks[run.id] = self._bar.add_task(task_name(run), total=run.rounds, state=run.state)
        self._bar.update(self._tasks[run.id], completed=run.committed, total=run.rounds, state=run.state)  # type: ignore[arg-type]


def _show(connected: FedStudy, reached: Plan, done: Sequence[Step], output: Output) -> None:
    """Show the results of all runs. Raises FedStudyProblem (E_RUN) where one did not complete."""
    runs = reached.runs()
    pooled = {run.id: connected.runs.results(run)["pooled"] for run in runs}
    told = [
        {"id": r.id, "label": r.label, "state": r.state, "rounds": r.committed, "metrics": pooled[r.id]} for r in runs
    ]
    output.facts({"study": reached.comparing.study().id, "done": [step.as_json() for step in done], "runs": told})
    if not done:
        output.say("Nothing to do: the portal has what the file describes.")
    names = dict.fromkeys(
        name for run in runs for name, value in pooled[run.id].items() if isinstance(value, int | float)
    )
    rows = [(run.label, run.state, run.committed, *(pooled[run.id].get(name) for name in names)) for run in runs]
    if runs:
        output.table("Results, all sites together after the last round", ("run", "state", "rounds", *names), rows)
    failed = [
        f"“{run.label}” {run.state}: {run.reason_code} {run.reason}".rstrip()
        for run in runs
        if run.state != "completed"
    ]
    if failed:
        raise FedStudyProblem("E_RUN", " ".join(failed))


def _summary(found: Plan) -> str:
    if found.is_done:
        return "Nothing to do: the portal has what the file describes."
    counts = {action: sum(step.action == action for step in found.steps) for action in ("create", "change", "start")}
    words = [f"{number} to {action}" for action, number in counts.items() if number]
    problems = sum(step.action == "problem" for step in found.steps)
    words += [f"{len(found.waits)} waited for", *([f"{problems} in the way"] if problems else [])]
    return ", ".join(words) + "."


def _did(step: Step) -> Text:
    detail = f" ({step.detail})" if step.detail else ""
    return Text.assemble((f"{_DONE[step.action]:8}", _STYLES[step.action]), plain(f"{step.part} “{step.name}”{detail}"))


def _action(step: Step) -> Text:
    return Text(step.action, style=_STYLES.get(step.action, "dim"))

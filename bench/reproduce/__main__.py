"""`make reproduce ARGS="[--only KEY,KEY] [--seeds 42,43] [--json FILE] [--keep FILE]"`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import machine
from bench.pages import RESULTS
from bench.reproduce import choosing, page, picture, playing, reckoning
from bench.reproduce.playing import Played, Player
from bench.reproduce.recipes import RECIPES, SEEDS, Recipe
from bench.reproduce.study import prepared_study
from devstack.demo.runs import RunFailed
from devstack.errors import SetupError

DOCUMENT = Path(__file__).parents[2] / "docs" / "results" / "fed-heart-disease.md"


def play(
    recipes: Sequence[Recipe], seeds: Sequence[int], console: Console, kept: Path | None = None
) -> dict[str, list[Played]]:
    """Bring a stack up and play the recipes, telling each that is done; by key, in the seeds' order.

    What the file `kept` holds is not played again, and what is played is added to it.
    """
    done = playing.read_kept(kept, recipes, seeds) if kept else []
    had = {(item.recipe.key, item.seed) for item in done}
    jobs = [(recipe, seed) for seed in seeds for recipe in recipes if (recipe.key, seed) not in had]
    if jobs:
        began = time.monotonic()
        with prepared_study(console) as (stack, cast, prepared):
            console.print(f"The study is ready after {time.monotonic() - began:.0f} s.")
            for played in Player(stack, cast, prepared).play(jobs):
                done.append(played)
                if kept:
                    playing.keep(kept, played)
                told = f"{len(done) - len(had)}/{len(jobs)}  {played.recipe.key}, seed {played.seed}"
                console.print(f"{time.monotonic() - began:5.0f} s  {told}")
    done.sort(key=lambda item: item.seed)
    return {recipe.key: [item for item in done if item.recipe is recipe] for recipe in recipes}


def rows_of(recipes: Sequence[Recipe], done: Mapping[str, Sequence[Played]]) -> dict[str, dict[str, Any]]:
    """The rows by key, with the verdict in that of the configuration beyond the tables."""
    rows = {recipe.key: reckoning.row_of(recipe, done[recipe.key]) for recipe in recipes}
    judgement = reckoning.verdict(rows)
    if judgement is not None:
        rows[reckoning.BEYOND]["criterion"] = judgement
    return rows


def write(
    rows: Mapping[str, Mapping[str, Any]],
    judged: Sequence[choosing.Judged],
    facts: Mapping[str, Any],
    folder: Path,
    document: Path,
) -> None:
    """The figures, the page and its picture."""
    folder.mkdir(parents=True, exist_ok=True)
    document.parent.mkdir(parents=True, exist_ok=True)
    told = list(rows.values())
    (folder / "reproduce.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    text = page.page(rows, judged, rows[reckoning.BEYOND]["criterion"], facts)
    document.write_text(text, "utf-8")
    document.with_suffix(".svg").write_text(picture.draw(told), "utf-8")


def _show(console: Console, rows: Mapping[str, Mapping[str, Any]]) -> bool:
    """Tell the rows in short; whether all of FLamby's are within what is aimed at."""
    for key, row in rows.items():
        shares = " ".join(f"{row['accuracy'][name]:.3f}" for name in (*reckoning.NAMES, "mean"))
        held = {True: "within", False: "NOT WITHIN", None: ""}[row.get("within")]
        auc = f"AUC {row['auc_weighted']:.3f} {row['auc_pooled_ranking']:.3f}"
        console.print(f"{key:32} {shares}  {auc}  {held} {row.get('criterion', '')}", highlight=False)
    return all(row.get("within", True) for row in rows.values())


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make reproduce", description=__doc__)
    known = [recipe.key for recipe in RECIPES]
    parser.add_argument("--only", default="", help=f"rows, by name ({', '.join(known)}); then nothing is written")
    parser.add_argument("--seeds", default="", help="seeds; then nothing is written but --json")
    parser.add_argument("--json", type=Path, help="write the rows here as well")
    parser.add_argument("--keep", type=Path, help="a file for what is played; what it holds is not played again")
    arguments = parser.parse_args()
    arguments.only = [key for key in arguments.only.split(",") if key]
    arguments.seeds = [int(seed) for seed in arguments.seeds.split(",") if seed]
    unknown = set(arguments.only) - set(known)
    if unknown:
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    return arguments


def main() -> int:
    """Play all rows, write and tell them; 1 when a run failed or one of FLamby's rows is further off than aimed at."""
    arguments, console = _read_arguments(), Console()
    recipes = [recipe for recipe in RECIPES if not arguments.only or recipe.key in arguments.only]
    began = time.monotonic()
    try:
        done = play(recipes, arguments.seeds or SEEDS, console, arguments.keep)
        rows = rows_of(recipes, done)
    except (RunFailed, SetupError, reckoning.Incomplete) as failure:
        print(f"The tables are not complete: {failure}", file=sys.stderr)
        return 1
    minutes = (time.monotonic() - began) / 60
    if not arguments.only and not arguments.seeds:
        host = machine.describe()
        runs = sum(len(item.runs) for items in done.values() for item in items)
        facts = {
            "runs": runs,
            "seeds": len(SEEDS),
            "minutes": f"{minutes:.0f}",
            "load": f"{machine.load():.0f}",
            "when": f"{datetime.now(UTC):%Y-%m-%d}",
        }
        write(rows, choosing.judge_all(), facts | {"cores": host["cores"], "system": host["system"]}, RESULTS, DOCUMENT)
    if arguments.json:
        arguments.json.write_text(json.dumps(list(rows.values()), indent=1) + "\n", "utf-8")
    held = _show(console, rows)
    console.print(f"{minutes:.1f} minutes.")
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())

"""A comparison of degrees that grows while rows go into the pool: all at home, some pooled, all that train pooled."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from devstack.demo.cast import Hospital
from fedstudy_client.records_degrees import DegreeComparison
from tests.e2e.pools import Pool
from tests.stage import Json

KINDS = ["federated", "hybrid", "central"]
ASKED = {"bootstrap": 200}  # what a comparison asks of the run that is to be its first
NAMES = ["Federated", "Hybrid (Cleveland, Hungary)", "Central"]


def begin_comparison(pool: Pool, run: Json) -> str:
    """Plan a comparison by a run of all sites at home, which takes its place in it; returns its id."""
    with pool.client(pool.stage.cast.investigator) as portal:
        made = portal.degrees.of_run(run["id"], kinds=KINDS, start=False)
    assert [item["run"]["id"] for item in made.runs] == [run["id"]]
    assert {(item["kind"], item["reason"]) for item in made.lacking} == {("hybrid", "no_pool"), ("central", "no_pool")}
    return made.id


def extend_comparison(pool: Pool, comparison: str) -> DegreeComparison:
    """Start what has become possible, and wait for its end."""
    with pool.client(pool.stage.cast.investigator) as portal:
        started = portal.degrees.start(comparison)
        assert started.hindered == []
        return portal.degrees.wait(started, timeout=60, every=0.2)


def centralise(pool: Pool, comparison: str, others: Sequence[Hospital]) -> DegreeComparison:
    """The same while the hospitals that do not pool only test, so that all that trains is in one place."""
    for hospital in others:
        pool.choose_by_client(hospital, "F0")
    found = extend_comparison(pool, comparison)
    for hospital in others:
        pool.choose_by_client(hospital, "F2")
    return found


@dataclass(frozen=True)
class Shown:
    """A comparison as the API, its page and its files tell it."""

    told: DegreeComparison
    page: str
    table: list[dict[str, str]]
    latex: str


def read_comparison(pool: Pool, told: DegreeComparison) -> Shown:
    """Open the page as the investigator, and take its files."""
    there = f"/degrees/{told.id}"
    with pool.stage.browser(pool.stage.cast.investigator) as browser:
        page = browser.get(there)
        files = [browser.get(f"{there}?form={form}") for form in ("csv", "tex")]
    assert [answer.status_code for answer in (page, *files)] == [200] * 3
    return Shown(told, page.text, list(csv.DictReader(io.StringIO(files[0].text))), files[1].text)


def check_comparison(shown: Shown, pooled: dict[str, int]) -> None:
    """What each degree brings and costs, the same wherever it is told.

    Args:
        pooled: rows by site that lay at the pool node.
    """
    told, rows = shown.told, {row["kind"]: row for row in shown.told.rows}
    exposed = sum(pooled.values())
    assert (list(rows), told.base, told.same_rows, told.lacking) == (KINDS, "federated", True, [])
    assert {kind: row["exposed"] for kind, row in rows.items()} == {
        "federated": 0, "hybrid": exposed, "central": exposed,
    }  # fmt: skip
    assert rows["hybrid"]["pooled_sites"] == rows["central"]["pooled_sites"] == sorted(pooled)
    assert [rows[kind]["degree"] for kind in ("federated", "central")] == [1.0, 0.0]
    assert 0 < rows["hybrid"]["degree"] < 1
    assert rows["federated"]["trained"] == rows["hybrid"]["trained"], "the same rows, elsewhere"
    assert rows["central"]["trained"] == [exposed] * 2
    for row in rows.values():
        assert row["seconds"] > 0 and row["bytes"] > 0
        assert row["weighted"]["low"] < row["weighted"]["value"] < row["weighted"]["high"]
        assert row["ranking"]["low"] < row["ranking"]["value"] < row["ranking"]["high"]
        assert [figure["rows"] for figure in row["sites"]] == [104, 89, 16, 45]
    gain = rows["central"]["weighted_gain"]
    assert gain["replicates"] == 200 and gain["low"] < gain["value"] < gain["high"]
    assert rows["central"]["ranking_gain"]["low"] is None
    _check_page(shown, rows)
    _check_files(shown, rows)


def _check_page(shown: Shown, rows: dict[str, Json]) -> None:
    for name in (*NAMES, "Mean, by test rows", "One ranking", "Gains in one ranking have no interval"):
        assert name in shown.page, name
    for row in rows.values():
        for measure in ("weighted", "ranking"):
            assert f"{row[measure]['value']:.3f}" in shown.page
        assert str(row["exposed"]) in shown.page
    assert "data-live" not in shown.page.split('id="live"', 1)[1].split(">", 1)[0], "its runs have ended"


def _check_files(shown: Shown, rows: dict[str, Json]) -> None:
    table = {(line["degree"], line["site"], line["measure"]): line for line in shown.table}
    for kind, row in rows.items():
        for name, measure in (("weighted", "weighted"), ("one ranking", "ranking")):
            line = table[kind, "All sites", name]
            assert float(line["value"]) == pytest.approx(row[measure]["value"])
            assert (int(line["rows_exposed"]), int(line["bytes"])) == (row["exposed"], row["bytes"])
            assert float(line["seconds"]) == pytest.approx(row["seconds"])
    body = shown.latex.split("\\midrule\n")[1].split("\\bottomrule")[0].strip().split(" \\\\\n")
    cells = [line.removesuffix(" \\\\").split(" & ") for line in body]
    assert [line[0] for line in cells] == NAMES
    assert {len(line) for line in cells} == {len(shown.told.sites) + 6}
    assert [line[-1] for line in cells] == [str(row["exposed"]) for row in rows.values()]

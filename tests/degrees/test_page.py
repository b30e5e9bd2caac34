"""What the page of a comparison shows, and its files, without a portal around them."""

from __future__ import annotations

import csv
import io

import pytest
from django.template.loader import render_to_string

from federation.degrees.outline import Lacking
from portal.web.downloads import csv_file
from portal.web.presenters.degree_files import COLUMNS, degree_latex, degree_records
from portal.web.presenters.degrees import present_degrees
from tests.degrees.scene import COMPARISON, reckoned, run_of, told
from tests.degrees.test_reckoning import ALONE, EVERYTHING, TOGETHER, TOGETHER_ANEW

FOUND = reckoned(*EVERYTHING)
PAGE = present_degrees(FOUND, [Lacking("central", "still_local", ("A",))])


def test_tables_and_plot_are_drawn() -> None:
    drawn = "".join(
        render_to_string(f"degrees/{name}.html", {"page": PAGE, "plot": PAGE.plot, "may_start": True})
        for name in ("_plot", "_table", "_sites")
    )
    assert drawn.count("<circle") == 10, "two sites at five degrees"
    assert drawn.count("<rect") == 5
    assert "+0.125" in drawn, "what pooling all gains in the mean"
    assert "Better alone" in drawn
    assert "75.0 %" in drawn
    assert "Run FedBN / local layers as well" in " ".join(drawn.split())


def test_a_site_that_is_better_off_alone_is_offered_strategies_that_keep_layers_there() -> None:
    assert PAGE.worse == ("B",)
    assert PAGE.offered == (("fedbn", "FedBN / local layers"),)
    assert not present_degrees(reckoned(ALONE[0], TOGETHER), []).offered, "nobody is better alone"
    assert PAGE.lacking[0].startswith("Central: A train")


def test_a_plan_that_keeps_layers_itself_is_named_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(COMPARISON, "plan", {**COMPARISON.plan, "strategy": "fedbn"})
    kept = run_of("federated", {"A": told(0.7, 30), "B": told(0.6, 10)}, strategy="fedbn")
    page = present_degrees(reckoned(*ALONE, kept), [])
    assert [line.name for line in page.lines] == ["Each site alone", "Federated (FedBN / local layers)"]
    assert page.worse
    drawn = render_to_string("degrees/_sites.html", {"page": page})
    assert "own strategy leaves a part of the model" in drawn
    assert "no personalised strategy for it" not in drawn


def test_the_personalised_strategy_is_named_and_that_of_one_site_is_not() -> None:
    kept = run_of("personalised", {"A": told(0.8, 30), "B": told(0.9, 10)}, strategy="fedbn")
    found = reckoned(*EVERYTHING, kept)
    drawn = " ".join(render_to_string("degrees/_sites.html", {"page": present_degrees(found, [])}).split())
    assert 'Personalised: gain over own<span class="fs-sub">FedBN / local layers</span>' in drawn
    rows = degree_records(found)
    assert {row["strategy"] for row in rows if row["degree"] in ("alone", "left-out")} == {""}
    assert {row["strategy"] for row in rows if row["measure"] == "personalised gain over own"} == {"fedbn"}


def test_every_personalised_strategy_that_was_tried_has_its_column() -> None:
    tests = {"A": told(0.8, 30), "B": told(0.9, 10)}
    tried = [run_of("personalised", tests, strategy=strategy) for strategy in ("fedbn", "fedprox")]
    found = reckoned(*EVERYTHING, *tried)
    page = present_degrees(found, [])
    assert page.personalised == ("FedBN / local layers", "FedProx")
    assert [len(line.personalised) for line in page.contributions] == [2, 2]
    drawn = render_to_string("degrees/_sites.html", {"page": page})
    assert drawn.count("Personalised: gain over own") == 2
    rows = [row for row in degree_records(found) if row["measure"] == "personalised gain over own"]
    assert [(row["site"], row["strategy"]) for row in rows] == [
        ("A", "fedbn"), ("A", "fedprox"), ("B", "fedbn"), ("B", "fedprox")
    ]  # fmt: skip


def test_the_plot_has_one_column_for_each_degree_and_stays_on_its_scale() -> None:
    plot = PAGE.plot
    assert plot is not None
    assert [column.degree for column in plot.columns] == ["100.0 %", "100.0 %", "100.0 %", "75.0 %", "0.0 %"]
    assert all(0 <= point.y <= plot.height for column in plot.columns for point in column.sites)
    assert present_degrees(reckoned(EVERYTHING[-1]), []).plot is None, "one degree is no comparison"


def test_the_files_have_every_figure() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_file("x.csv", degree_records(FOUND), COLUMNS).content.decode())))
    central = {
        (row["site"], row["measure"]): round(float(row["value"]), 6) for row in rows if row["degree"] == "central"
    }
    assert central["All sites", "weighted"] == 0.875
    assert central["B", "gain"] == 0.2
    text = degree_latex(FOUND)
    assert r"Degrees\_1" in text
    assert r"Central & 0\,\% & $0.900$ & $0.800$ & $0.875$ & -- & $+0.125$ & 80 \\" in text
    assert text.count(r"\midrule") == 1


def test_several_seeds_are_told_with_how_they_deviate() -> None:
    found = reckoned(*EVERYTHING, TOGETHER_ANEW)
    page = present_degrees(found, [])
    drawn = render_to_string("degrees/_table.html", {"page": page})
    assert "2 seeds" in drawn
    assert "± 0.088" in drawn, "0.125 / 2 ** 0.5"
    assert "seed by seed" in drawn
    assert "seed by seed" not in render_to_string("degrees/_table.html", {"page": PAGE})
    rows = list(csv.DictReader(io.StringIO(csv_file("x.csv", degree_records(found), COLUMNS).content.decode())))
    (told,) = [
        row for row in rows if (row["degree"], row["site"], row["measure"]) == ("federated", "All sites", "weighted")
    ]
    assert (told["seeds"], float(told["deviation"])) == ("2", pytest.approx(0.125 / 2**0.5))
    text = degree_latex(found)
    assert r"$0.812 \pm 0.088$" in text
    assert "mean and standard deviation of 2 seeds" in text


def test_gains_in_one_ranking_are_told_without_an_interval_and_why() -> None:
    drawn = render_to_string("degrees/_table.html", {"page": PAGE})
    assert "Gains in one ranking have no interval" in drawn


@pytest.mark.parametrize(("ends_after", "told"), [(None, ()), (2, ("central",)), (3, ())])
def test_a_run_that_ended_early_without_replicates_is_named(ends_after: int | None, told: tuple[str, ...]) -> None:
    early = run_of("central", {"A": {"auc": 0.9, "num-examples": 30}}, pooled=80)
    early.run.ends_after = ends_after
    assert present_degrees(reckoned(early), []).lack_replicates == told
    drawn = run_of("central", {"A": {"auc": 0.9, "num-examples": 30, "replicates-of": 3}}, pooled=80)
    drawn.run.ends_after = ends_after
    assert present_degrees(reckoned(drawn), []).lack_replicates == ()


def test_the_page_is_live_while_runs_are_at_work() -> None:
    at_work = run_of("central", {}, state="queued")
    assert present_degrees(reckoned(*EVERYTHING, at_work), []).is_live
    assert not PAGE.is_live

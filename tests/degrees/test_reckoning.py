"""The arithmetic of comparisons, against values worked out by hand."""

from __future__ import annotations

import pytest

from fedstudy_core.figures import Figure, ranking_figure, site_figure, weighted_figure
from tests.degrees.scene import reckoned, run_of, told

# Two sites, A with 30 test rows and B with 10: alone 0.7 and 0.9, together 0.8 and 0.6, pooled 0.9 and 0.8.
ALONE = (
    run_of("alone", {"A": told(0.7, 30), "B": told(0.5, 10)}, site="A", trained={"A": 60}),
    run_of("alone", {"A": told(0.4, 30), "B": told(0.9, 10)}, site="B", trained={"B": 20}),
)
TOGETHER = run_of("federated", {"A": told(0.8, 30), "B": told(0.6, 10)}, trained={"A": 60, "B": 20})
HYBRID = run_of("hybrid", {"A": told(0.8, 30), "B": told(0.8, 10)}, trained={"A": 60}, pooled=20, exposed={"B": 20})
CENTRAL = run_of("central", {"A": told(0.9, 30), "B": told(0.8, 10)}, pooled=80, exposed={"A": 60, "B": 20})
LEFT_OUT = (
    run_of("left-out", {"A": told(0.5, 30), "B": told(0.9, 10)}, site="A", trained={"B": 20}),
    run_of("left-out", {"A": told(0.7, 30), "B": told(0.7, 10)}, site="B", trained={"A": 60}),
)
EVERYTHING = (*ALONE, *LEFT_OUT, TOGETHER, HYBRID, CENTRAL)


def value(figure: Figure | None) -> float | None:
    return None if figure is None else round(figure.value, 9)


def test_each_degree_has_its_figures_by_site_and_weighted_by_test_rows() -> None:
    rows = {row.kind: row for row in reckoned(*EVERYTHING).rows}
    assert list(rows) == ["alone", "left-out", "federated", "hybrid", "central"]
    assert [value(figure) for figure in rows["alone"].sites] == [0.7, 0.9]
    assert value(rows["alone"].weighted) == 0.75  # (0.7 * 30 + 0.9 * 10) / 40
    assert [value(figure) for figure in rows["left-out"].sites] == [0.5, 0.7]
    assert value(rows["federated"].weighted) == 0.75  # (0.8 * 30 + 0.6 * 10) / 40
    assert value(rows["central"].weighted) == 0.875  # (0.9 * 30 + 0.8 * 10) / 40
    assert [figure and figure.rows for figure in rows["federated"].sites] == [30, 10]


def test_the_other_degrees_are_compared_with_the_federated_one() -> None:
    found = reckoned(*EVERYTHING)
    rows = {row.kind: row for row in found.rows}
    assert found.base == "federated"
    assert rows["federated"].weighted_gain is None
    assert [value(gain) for gain in rows["central"].gains] == [0.1, 0.2]
    assert value(rows["central"].weighted_gain) == 0.125
    assert value(rows["alone"].weighted_gain) == 0.0


def test_degree_exposure_time_and_bytes() -> None:
    rows = {row.kind: row for row in reckoned(*EVERYTHING).rows}
    assert {kind: row.degree for kind, row in rows.items()} == {
        "alone": 1.0, "left-out": 1.0, "federated": 1.0, "hybrid": 0.75, "central": 0.0,
    }  # fmt: skip
    assert {kind: row.exposed for kind, row in rows.items()} == {
        "alone": 0, "left-out": 0, "federated": 0, "hybrid": 20, "central": 80,
    }  # fmt: skip
    assert (rows["alone"].seconds, rows["alone"].bytes, rows["alone"].trained) == (4.0, 60, (20, 60))
    assert (rows["hybrid"].seconds, rows["hybrid"].bytes, rows["hybrid"].trained) == (2.0, 30, (80, 80))


def test_what_each_site_has_of_the_shared_model_and_the_others_of_it() -> None:
    first, second = reckoned(*EVERYTHING).contributions
    assert (value(first.over_own), value(first.over_pooled), value(first.over_unseen)) == (0.1, -0.1, 0.3)
    assert value(first.to_others) == -0.3  # without A, B has 0.9; with A 0.6
    assert value(second.to_others) == 0.1  # without B, A has 0.7; with B 0.8
    assert value(second.over_own) == -0.3
    assert [item.is_worse for item in (first, second)] == [False, True]
    assert not second.is_clearly, "no interval says so"


@pytest.mark.parametrize("metric", ["loss"])
def test_of_a_loss_the_lower_is_better(metric: str) -> None:
    alone = run_of("alone", {"A": told(0.7, 30, loss=0.5)}, site="A")
    together = run_of("federated", {"A": told(0.8, 30, loss=0.6)})
    found = reckoned(alone, together, metric=metric)
    assert found.better == "lower"
    assert found.contributions[0].is_worse
    assert not reckoned(alone, together).contributions[0].is_worse


def test_only_what_is_completed_counts_and_other_test_rows_are_told() -> None:
    failed = run_of("central", {"A": told(0.9, 30)}, state="failed")
    assert [row.kind for row in reckoned(TOGETHER, failed).rows] == ["federated"]
    assert reckoned(TOGETHER, CENTRAL).same_rows
    other = run_of("central", {"A": told(0.9, 31)})
    assert not reckoned(TOGETHER, other).same_rows


def test_what_a_personalised_model_brings_stands_beside_the_shared_one() -> None:
    """It is a row of its own, never the one that the others are compared with."""
    own_parts = run_of("personalised", {"A": told(0.8, 30), "B": told(0.95, 10)}, trained={"A": 60, "B": 20},
                       strategy="fedbn")  # fmt: skip
    found = reckoned(*EVERYTHING, own_parts)
    assert [row.kind for row in found.rows] == ["alone", "left-out", "federated", "personalised", "hybrid", "central"]
    row = found.rows[3]
    assert (row.strategy, found.base, [value(gain) for gain in row.gains]) == ("fedbn", "federated", [0.0, 0.35])
    assert [value(item.personalised[0].over_own) for item in found.contributions] == [0.1, 0.05]
    assert [item.is_worse for item in found.contributions] == [False, True], "the flag is about the shared model"


def test_without_any_run_there_are_no_tables() -> None:
    found = reckoned()
    assert (found.rows, found.base, found.contributions, found.metric) == ((), "", (), "auc")


def test_two_hybrids_stand_beside_each_other() -> None:
    other = run_of("hybrid", {"A": told(0.7, 30)}, trained={"B": 20}, pooled=60, exposed={"A": 60})
    found: list[tuple[tuple[str, ...], float | None]] = [
        (row.pooled_sites, row.degree) for row in reckoned(HYBRID, other).rows
    ]
    assert found == [(("B",), 0.75), (("A",), 0.25)]


def test_the_area_of_a_ranking_is_not_the_mean_of_the_sites() -> None:
    """Scores at A are high, at B low: each ranks its own rows well, together less so."""
    first = {"num-examples": 4, "score-positives": [0, 0, 0, 2], "score-negatives": [0, 0, 2, 0]}
    second = {"num-examples": 4, "score-positives": [0, 2, 0, 0], "score-negatives": [2, 0, 0, 0]}
    weighted, ranking = weighted_figure([[first, second]], "auc"), ranking_figure([[first, second]])
    assert value(weighted) == 1.0
    assert value(ranking) == 0.75  # of 16 pairs, the 4 of B's positives with A's negatives are the wrong way round
    assert ranking is not None
    assert ranking.low is not None
    assert (ranking.rows, ranking.replicates) == (8, 0)


def test_a_site_that_reports_no_figure_has_none() -> None:
    assert site_figure([{"num-examples": 3}], "auc") is None
    assert weighted_figure([[{"num-examples": 3}]], "auc") is None
    assert ranking_figure([[{"num-examples": 3}]]) is None


# The same two sites with another seed: alone 0.8 and 0.7, together 0.9 and 0.8.
ALONE_ANEW = (
    run_of("alone", {"A": told(0.8, 30), "B": told(0.5, 10)}, site="A", trained={"A": 60}, seed=43),
    run_of("alone", {"A": told(0.4, 30), "B": told(0.7, 10)}, site="B", trained={"B": 20}, seed=43),
)
TOGETHER_ANEW = run_of("federated", {"A": told(0.9, 30), "B": told(0.8, 10)}, trained={"A": 60, "B": 20}, seed=43)


def test_runs_of_several_seeds_are_one_row_with_their_mean() -> None:
    found = reckoned(*ALONE, TOGETHER, *ALONE_ANEW, TOGETHER_ANEW)
    alone, together = found.rows
    assert [row.seeds for row in found.rows] == [(42, 43), (42, 43)]
    assert [value(figure) for figure in together.sites] == [0.85, 0.7]
    assert value(together.weighted) == 0.8125  # (0.75 + 0.875) / 2
    assert together.weighted is not None
    assert together.weighted.deviation == pytest.approx(0.125 / 2**0.5)
    assert [value(gain) for gain in alone.gains] == [-0.1, 0.1]  # A: -0.1 and -0.1; B: 0.3 and -0.1
    assert alone.gains[0] is not None
    assert alone.gains[0].deviation == pytest.approx(0), "seed by seed it is the same"
    assert (together.seconds, together.bytes) == (2.0, 30), "of one seed"
    assert (alone.seconds, alone.bytes, alone.trained) == (4.0, 60, (20, 60))
    second = found.contributions[1]
    assert (value(second.own), value(second.over_own), second.is_worse) == (0.8, -0.1, True)


def test_while_a_seed_lacks_runs_means_are_of_what_is_there_for_both() -> None:
    alone, together = reckoned(*ALONE, TOGETHER, TOGETHER_ANEW, ALONE_ANEW[0]).rows
    assert [figure and figure.seeds for figure in alone.sites] == [2, 1]
    assert value(alone.weighted) == 0.75, "of the seed that both sites have"
    assert value(alone.weighted_gain) == 0.0
    assert [figure and figure.seeds for figure in together.sites] == [2, 2]


def test_what_a_site_brings_to_others_is_taken_seed_by_seed() -> None:
    anew = run_of("left-out", {"A": told(0.5, 30), "B": told(0.9, 10)}, site="A", trained={"B": 20}, seed=43)
    first = reckoned(TOGETHER, TOGETHER_ANEW, *LEFT_OUT, anew).contributions[0]
    assert value(first.to_others) == -0.2  # at B: 0.6 - 0.9 and 0.8 - 0.9
    assert first.to_others is not None
    assert first.to_others.seeds == 2

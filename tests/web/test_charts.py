"""Charts as tables and points."""

from __future__ import annotations

from portal.web.presenters.charts import chart, roc_curve, series_number, sparks


def test_a_chart_has_a_row_for_each_round_and_a_gap_where_a_site_is_missing() -> None:
    made = chart("auc", "evaluate", {1: 0.7, 2: 0.8}, {"A": {1: 0.6, 2: 0.7}, "B": {2: 0.9}})
    assert made.columns == ("All sites", "A", "B")
    assert made.rows == ((1, (0.7, 0.6, None)), (2, (0.8, 0.7, 0.9)))
    assert made.latest == 0.8
    assert made.title == "AUC"


def test_a_chart_without_values_has_no_rows() -> None:
    assert chart("loss", "train", {}, {}).rows == ()
    assert chart("loss", "train", {}, {}).latest is None


def test_small_lines_share_one_scale_and_stay_in_their_frame() -> None:
    low, high = sparks({"A": {1: 0.0, 2: 0.5}, "B": {1: 0.5, 2: 1.0}})
    assert low.points == "0.0,28.0 100.0,15.0"
    assert high.points == "0.0,15.0 100.0,2.0"
    assert low.others == (high.points,)
    assert (low.series, high.series) == (1, 2)


def test_a_flat_line_and_a_single_round_do_not_divide_by_zero() -> None:
    (only,) = sparks({"A": {1: 0.5}})
    assert only.points == "0.0,28.0"
    assert sparks({"A": {}}) == ()


def test_colours_repeat_after_eight_sites() -> None:
    assert [series_number(position) for position in (0, 7, 8)] == [1, 8, 1]


def test_a_roc_curve_starts_at_the_lower_left() -> None:
    made = roc_curve("All sites", 0, 0.9, [0, 0.5, 1], [0, 1, 1])
    assert made.points == "0.0,300.0 150.0,0.0 300.0,0.0"

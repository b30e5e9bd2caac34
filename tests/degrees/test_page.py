"""What the page of a comparison shows, and its files, without a portal around them."""

from __future__ import annotations

import csv
import io

from django.template.loader import render_to_string

from federation.degrees.outline import Lacking
from portal.web.downloads import csv_file
from portal.web.presenters.degree_files import COLUMNS, degree_latex, degree_records
from portal.web.presenters.degrees import present_degrees
from tests.degrees.scene import reckoned
from tests.degrees.test_reckoning import EVERYTHING

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
    assert "strategy=fedbn" in drawn


def test_a_site_that_is_better_off_alone_is_offered_strategies_that_keep_layers_there() -> None:
    (offered,) = [item for item in PAGE.personalised if "strategy=fedbn" in item.href]
    assert "parameter%3Aseed=42" in offered.href
    assert PAGE.worse == ("B",)
    assert PAGE.lacking[0].startswith("Central: A train")


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

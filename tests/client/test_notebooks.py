"""Runs, rounds and comparisons in notebooks, and the example notebook itself."""

from __future__ import annotations

import ast
import json
import sys
from code import InteractiveInterpreter
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from accounts.tokens import begin_program_session
from fedstudy_client import transport
from fedstudy_client.comparing import Comparison, Row
from fedstudy_client.listing import Records
from fedstudy_client.records import Member, Run, Token
from fedstudy_client.rounds import Rounds
from fedstudy_client.showing import Chart
from tests.api.world import World
from tests.client.portals import hand_over
from tests.web.markup import assert_sound
from tests.web.rounds import commit_round, set_to_work

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "runs.ipynb"
ROUNDS = Rounds(
    {
        "number": number,
        "state": "committed",
        "duration_ms": 900,
        "metrics": {"evaluate": {"loss": 1 / number, "curve": [1, 2]}, "train": {"steps": 4, "done": True}},
        "sites": [
            {"site": site, "phase": "evaluate", "state": "done", "metrics": {"loss": 1 / number + at}}
            for at, site in enumerate(("<Cleveland>", "Hungary"))
        ],
    }
    for number in (1, 2, 3)
)


def sound(svg: str) -> ElementTree.Element:
    """The picture, which is well-formed XML without scripts."""
    assert "script" not in svg
    return ElementTree.fromstring(svg)  # noqa: S314  (made here)


def test_rounds_are_a_list_with_rows_and_plots() -> None:
    assert Rounds() == []
    assert ROUNDS.metrics == ["evaluate.loss", "train.steps"]
    assert ROUNDS.to_rows()[1] == {
        "round": 2, "state": "committed", "duration_ms": 900, "bytes_sent": None, "bytes_received": None,
        "evaluate.loss": 0.5, "train.steps": 4,
    }  # fmt: skip
    assert [row["loss"] for row in ROUNDS.to_site_rows() if row["site"] == "Hungary"] == [2.0, 1.5, 1 / 3 + 1]
    assert list(ROUNDS.to_pandas()["evaluate.loss"]) == [1.0, 0.5, 1 / 3]
    shown = ROUNDS._repr_html_()
    assert shown.count("<svg") == 2
    assert_sound(shown, whole=False)


def test_a_chart_has_a_line_for_each_name_and_words_for_all() -> None:
    chart = ROUNDS.plot("evaluate.loss", by_site=True)
    root = sound(chart.svg)
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(str(line.get("points")).split()) for line in lines] == [3, 3]
    assert root.get("aria-label") == "evaluate.loss by site: <Cleveland> ends at 0.3333, Hungary ends at 1.333"
    assert "&lt;Cleveland&gt;" in chart.svg
    assert chart._repr_mimebundle_()["image/svg+xml"] == chart.svg


@pytest.mark.parametrize(
    ("points", "lines"),
    [([], 0), ([(1, float("nan"))], 0), ([(1, 2.0)], 1), ([(1, 2.0), (2, 2.0), (3, float("inf"))], 1)],
)
def test_a_chart_of_little(points: Any, lines: int) -> None:
    svg = Chart("x", {"a": points}).svg
    assert svg.count("<polyline") == lines
    assert "nan" not in svg
    if svg:
        sound(svg)


def test_runs_and_comparisons_are_tables_of_text() -> None:
    runs = tuple(Run(id=name, label=f"<{name}>", state="completed") for name in "ab")
    comparison = Comparison(runs, (Row("rounds", (3, 5)),), (Row("loss", (0.4, 0.2), frozenset({1})),))
    assert comparison.to_rows()[1] == {"name": "loss", "<a>": 0.4, "<b>": 0.2}
    shown = comparison._repr_html_()
    assert "<b>0.2</b>" in shown
    assert "&lt;a&gt;" in shown
    for html in (shown, runs[0]._repr_html_()):
        assert "<a>" not in html
        assert_sound(html, whole=False)


def test_lists_and_single_records_are_tables_without_what_is_secret_or_long() -> None:
    told = {
        "id": "1",
        "name": "<nightly>",
        "scopes": ["read", "run"],
        "hint": "fst_1",
        "expires_at": "2030-01-01T12:00:00Z",
    }
    token = Token.read({**told, "token": "secret"})
    assert "secret" not in repr(token) + token._repr_html_()
    assert token.token == "secret"
    listed = Records([token, Token.read(told)])
    assert [*listed.to_rows()[0]] == ["name", "scopes", "hint", "expires_at", "last_used_at", "id"]
    assert list(listed.to_pandas()["name"]) == ["<nightly>", "<nightly>"]
    shown = listed._repr_html_()
    assert "<td>read, run</td>" in shown
    assert "last used" not in shown, "a column without values says nothing"
    member = Member.read({"user": {"id": "u", "name": "Pat", "email": "p@x.example"}, "role": "pi"})
    assert member.shown() == {"user": "Pat", "role": "pi"}
    for html in (shown, token._repr_html_(), Records([member])._repr_html_(), Records[Token]()._repr_html_()):
        assert "<nightly>" not in html
        assert_sound(html, whole=False)


@pytest.mark.django_db
def test_the_example_notebook_works(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = set_to_work(world)
    for number in (1, 2):
        commit_round(run, number)
    client = partial(httpx.Client, transport=httpx.MockTransport(hand_over))
    monkeypatch.setattr(transport.httpx, "Client", client)
    monkeypatch.setenv("FEDSTUDY_URL", "http://localhost")
    monkeypatch.setenv("FEDSTUDY_TOKEN", begin_program_session(user=world.pi)[1])
    document = json.loads(NOTEBOOK.read_text("utf-8"))
    names: dict[str, Any] = {}
    shown = [_value("".join(cell["source"]), names) for cell in document["cells"] if cell["cell_type"] == "code"]
    assert shown[0] == world.study.title
    assert [item.committed for item in names["portal"].runs.list(world.study.pk)] == [2]
    assert [type(value).__name__ for value in shown[1:4]] == ["Run", "Rounds", "Chart"]
    assert shown[3].title == "evaluate.loss by site"
    assert shown[-1].runs[0].label == world.run.label
    assert all(cell["outputs"] == [] for cell in document["cells"] if cell["cell_type"] == "code")


def _value(source: str, names: dict[str, Any]) -> Any:
    """What a cell shows: the value of its last expression."""
    shown: list[Any] = []
    interpreter = InteractiveInterpreter(names)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "displayhook", shown.append)
        for statement in ast.parse(source).body:
            interpreter.runcode(compile(ast.Interactive([statement]), "cell", "single"))
    return shown[-1] if shown else None

"""The page about what gate and sandbox cost; the measurement itself is `make bench-gate`."""

from pathlib import Path

from bench import gate, machine, pages
from fedstudy_core.sandbox.choosing import BARE

RESULT = {
    "measured_at": "2025-11-21T05:00:00+00:00",
    "machine": {**machine.describe(), "cores": 2, "load": {"before": 0.1, "after": 2.0}},
    "sandbox": "S4",
    "rounds": 50,
    "round_median_s": {"with": 0.41, "without_sandbox": 0.4},
    "gate_check_s": 0.002,
    "share": 0.035,
    "most_share": 0.05,
    "start_s": {"with": 0.28, "without": 0.22, "beyond": 0.06},
    "most_start_s": 0.1,
}


def test_the_page_tells_the_figures_and_whether_the_targets_are_met(tmp_path: Path) -> None:
    _, text = pages.write(RESULT, "gate", tmp_path, page=gate.as_markdown(RESULT))
    page = text.read_text("utf-8")
    assert "| median round, sandbox S4 and gate | 0.410 |" in page
    assert "add 3.5% to the median round" in page
    assert "adds 60 ms to the" in page
    assert page.count("met") == 2
    slow = RESULT | {"share": 0.06, "start_s": {"with": 0.4, "without": 0.2, "beyond": 0.2}}
    assert gate.as_markdown(slow).count("missed") == 2


def test_a_busy_machine_decides_nothing_about_rounds() -> None:
    busy = RESULT | {"machine": {**RESULT["machine"], "load": {"before": 8.7, "after": 8.4}}}  # type: ignore[dict-item]
    page = gate.as_markdown(busy)
    assert "not decided" in page
    assert " met." in page


def test_the_start_of_a_process_is_timed_both_ways(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(gate, "STARTS", 1)
    found = gate.sandbox_start_s(BARE, tmp_path)
    assert set(found) == {"with", "without", "beyond"}
    assert 0 < found["with"] < 30

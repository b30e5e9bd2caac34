"""The comparison's arithmetic and its page; the measurements themselves are `make bench`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import machine, raw_flower, rounds

RESULT = {
    "measured_at": "2025-11-21T05:00:00+00:00",
    "machine": {**machine.describe(), "load": {"before": 0.1, "between": 0.9, "after": 2.0}},
    "fedstudy": {"sites": 4, "rounds": 50, "refusals": 0, "round_median_s": 0.4, "first_round_s": 6.0},
    "raw_flower": {"sites": 4, "rounds": 3, "round_median_s": 16.0, "first_round_s": 30.0, "cpu_s_per_round": 17.0},
    "target_s": 1.0,
    "times_faster": 40.0,
}


def test_the_page_tells_both_figures_and_the_machine(tmp_path: Path) -> None:
    data, text = rounds.write(RESULT, "now", tmp_path)
    assert json.loads(data.read_text("utf-8")) == RESULT
    page = text.read_text("utf-8")
    assert "| FedStudy | 50 | 0.40 s | 6.0 s |" in page
    assert "| stock Flower | 3 | 16.00 s | 30.0 s |" in page
    assert "40 times as fast. The target of 1 s a round is met." in page
    assert "0.1 before, 0.9 between, 2.0 after" in page


def test_a_missed_target_is_said() -> None:
    slow = {**RESULT, "fedstudy": {**RESULT["fedstudy"], "round_median_s": 1.2}}
    assert "is missed" in rounds.as_markdown(slow)


def test_rounds_are_stamped_when_the_log_tells_of_them() -> None:
    stamps = raw_flower._Stamps([])
    for line in ("INFO : [ROUND 1/2]\n", "INFO : aggregate_train\n", "INFO : [ROUND 2/2]\n"):
        stamps.read(line)
    assert (len(stamps.rounds), stamps.finished) == (2, None)
    stamps.read("INFO : Strategy execution finished in 3.2s\n")
    assert stamps.finished is not None
    assert stamps.tail().count("\n") == 4


def test_cpu_seconds_count_children_that_have_ended() -> None:
    before = machine.cpu_seconds([os.getpid()])
    subprocess.run([sys.executable, "-c", "sum(range(6_000_000))"], check=True)
    assert machine.cpu_seconds([os.getpid()]) - before > 0.05


def test_cpu_seconds_of_a_process_that_is_gone_are_none() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert machine.cpu_seconds([gone.pid]) == 0


def test_a_demo_that_fails_is_told_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, stdout="The demo ended early. Port taken.", stderr="")

    monkeypatch.setattr(subprocess, "run", failing)
    with pytest.raises(rounds.DemoFailed, match="Port taken"):
        rounds.measure_fedstudy(3)

"""The comparison's arithmetic, its page and picture, and the floor; the measurements themselves are `make bench`."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bench import __main__ as bench
from bench import figures, floor, job, machine, pages, raw_flower
from bench.figures import Figures
from bench.processes import Watch
from bench.workloads import STANDARD, workload
from devstack.processes import Command, Supervisor
from fedstudy_core import bundle as bundles

HOST = machine.describe() | {"measured_at": "2025-11-21T05:00:00+00:00"}
OURS = Figures(0.2, 50, 0.3, 4.0, 20.0, {"server": 812.4, "site": 300.0, "total": 3000.0}, 0.02).as_json()
FLOWER = Figures(16.0, 3, 17.0, 40.0, 90.0, {"server": 800.0, "site": 400.0, "total": 2400.0}, 0.05).as_json()
RESULTS = {
    "w1": {"ours": OURS, "flower": FLOWER, "floor": {**OURS, "round_median_s": 0.04}},
    "w2:500": {"ours": OURS | {"server_models": 4.02, "wan_share": 1.1}, "flower": {"failed": "no memory"}},
    "load": [0.1, 0.9],
}


def test_the_page_tells_figures_ratios_and_load() -> None:
    page = figures.as_markdown(RESULTS, HOST)
    assert "| w1 | FedStudy | 50 | 0.2 | 0.3 | 4 | 20 | 812 | 300 | 3,000 | 0.02 |" in page
    assert "| w1 | 0.0125 | 5 | 0.0176 |  |  |" in page
    assert "| w2:500 |  |  |  | 4.02 | 1.1 |" in page
    assert "| w2:500 | stock Flower | did not finish: no memory" in page
    assert "before each measurement: 0.1, 0.9." in page


def test_the_picture_has_a_bar_for_each_measurement() -> None:
    picture = figures.as_picture(RESULTS)
    assert picture.count("<rect") == 4
    assert "w1 stock Flower" in picture
    assert ">16 s<" in picture


def test_files_are_written_side_by_side(tmp_path: Path) -> None:
    data, text = pages.write(RESULTS, "now", tmp_path, page="told", picture="<svg/>")
    assert json.loads(data.read_text("utf-8")) == RESULTS
    assert (text.read_text("utf-8"), (tmp_path / "now.svg").read_text("utf-8")) == ("told", "<svg/>")


def test_the_json_has_the_form_that_readers_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "RESULTS", tmp_path)
    monkeypatch.setattr(pages.write, "__defaults__", (tmp_path,))
    monkeypatch.setattr(sys, "argv", ["bench", "--only", "w3:2", "--systems", "floor", "--json", str(tmp_path / "f")])
    assert bench.main() == 0
    told = json.loads((tmp_path / "f").read_text("utf-8"))
    assert set(told) == {"w3:2", "load"}
    assert set(told["w3:2"]["floor"]) == {
        "round_median_s", "rounds", "cpu_s_per_round", "start_s", "job_s", "peak_mb", "wan_mb_per_round",
    }  # fmt: skip
    assert set(told["w3:2"]["floor"]["peak_mb"]) == {"server", "site", "total"}


def test_every_standard_workload_is_there_and_no_other() -> None:
    assert [workload(name).name for name in STANDARD] == list(STANDARD)
    assert workload("w2:100").model_bytes == 100_000_000
    assert workload("w3:16").sites == 16
    assert workload("w2:100:float16").model_bytes == workload("w2:100").model_bytes
    assert [workload(name).transport for name in ("w2:10:float16", "w2:10", "w1")] == ["float16", "float32", "float32"]
    for name in ("w2", "w2:x", "w1:3", "w3:1", "w4", "w2:float16", "w2:10:float8", "w3:4:float16", "w2:10:float16:x"):
        with pytest.raises(ValueError, match="no workload"):
            workload(name)


def test_a_large_model_is_the_measure_of_memory_and_bytes() -> None:
    told = {"peak_mb": {"server": 250}, "wan_mb_per_round": 880.0}
    assert workload("w2:100").against_model(told) == {"server_models": 2.5, "wan_share": 1.1}
    assert workload("w2:100").against_model(told | {"wan_mb_per_round": None}) == {"server_models": 2.5}
    assert workload("w2:100").against_model({"failed": "no memory"}) == {}
    assert workload("w3:4").against_model(told) == {}


def test_memory_that_processes_share_counts_once(tmp_path: Path) -> None:
    size = 60_000_000
    program = f"""
import os, time
held = b"x" * {size}
if os.fork():
    os.fork()
open({str(tmp_path / "up")!r}, "a").write("x")
time.sleep(60)
"""
    command = Command("family", [sys.executable, "-c", program], tmp_path / "log")
    with Supervisor() as supervisor, Watch(supervisor, {"both": ["family"]}) as watch:
        supervisor.launch(command)
        until = time.monotonic() + 20
        while not (tmp_path / "up").exists() or (tmp_path / "up").stat().st_size < 3:
            assert time.monotonic() < until, "the processes did not start"
            time.sleep(0.02)
        watch.cpu_s()
        assert size < watch.peak_mb["family"] * 1e6 < 2 * size
        assert watch.peak_mb["family"] == watch.peak_mb["both"] == watch.peak_mb["total"]


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # of Flower's own build
def test_the_measured_app_is_a_bundle_that_the_portal_takes() -> None:
    bundle = bundles.inspect(bundles.build(bundles.source_files(workload("w2:10").source)))
    assert bundle.declaration.initial == "query.initial_model"


def test_more_sites_than_the_demo_has_are_made_up_and_have_rows(tmp_path: Path) -> None:
    cast = job.cast_of(6)
    assert [hospital.centre for hospital in cast.hospitals][-2:] == ["Site 5", "Site 6"]
    assert len({hospital.admin.email for hospital in cast.hospitals}) == 6
    assert set(job.rows_of(cast, tmp_path)) == {hospital.centre for hospital in cast.hospitals}


def test_the_floor_takes_the_mean_of_what_the_sites_add() -> None:
    told = floor.measure(workload("w3:2"))
    assert told.rounds == 20
    assert told.round_median_s > 0
    assert told.peak_mb["server"] > 5


def test_the_floor_s_mean_is_right() -> None:
    links = [floor.socket.socketpair() for _ in range(3)]
    model = np.arange(5, dtype=np.float32)
    for place, (_, site) in enumerate(links):
        site.sendall((model + place).astype(np.float32).tobytes())
    combined = floor._round([central for central, _ in links], model)
    np.testing.assert_allclose(combined, model + 1)
    for pair in links:
        for end in pair:
            end.close()


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

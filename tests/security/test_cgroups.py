"""Control groups: of version 2, played by ordinary files; version 1 or 2, whichever this machine has, for real."""

import os
from pathlib import Path

import pytest

from fedstudy_core.sandbox import cgroups
from fedstudy_core.sandbox.cgroups import Ceiling, CgroupError, Group


@pytest.fixture
def unified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A process of a service with a delegated group of version 2: its /proc folder."""
    service = tmp_path / "cgroup" / "node.service"
    service.mkdir(parents=True)
    (service / "cgroup.controllers").write_text("cpu memory pids\n")
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "mountinfo").write_text(f"30 23 0:26 / {tmp_path / 'cgroup'} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n")
    (proc / "cgroup").write_text("0::/node.service\n")
    monkeypatch.setattr(cgroups, "_PATIENCE", 0.0)
    return proc


def test_the_agent_moves_into_a_leaf_and_hands_the_controllers_down(unified: Path) -> None:
    parents = cgroups.prepare(cgroups.find_parents(unified))
    service = parents.folders["memory"]
    assert set(parents.folders.values()) == {service}
    assert (service / "fedstudy-agent" / "cgroup.procs").read_text() == str(os.getpid())
    assert (service / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    (unified / "cgroup").write_text("0::/node.service/fedstudy-agent\n")
    assert cgroups.find_parents(unified) == parents


def test_limits_of_version_2(unified: Path) -> None:
    group = Group(cgroups.find_parents(unified), Ceiling(memory_mb=100, processes=9, processors=2))
    [folder] = (unified.parent / "cgroup" / "node.service").glob("fedstudy-*")
    group.add(4711)
    written = {path.name: path.read_text() for path in folder.iterdir()}
    assert written == {
        "memory.max": str(100 * 1024**2),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "9",
        "cpu.max": "200000 100000",
        "cgroup.procs": "4711",
    }
    assert not group.ran_out_of_memory()
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n")
    assert group.ran_out_of_memory()


def test_a_controller_that_was_not_delegated_is_named(unified: Path) -> None:
    (unified.parent / "cgroup" / "node.service" / "cgroup.controllers").write_text("memory pids\n")
    with pytest.raises(CgroupError, match="no cpu controller"):
        cgroups.find_parents(unified)


def test_groups_that_a_killed_agent_left_are_removed() -> None:
    try:
        parents = cgroups.prepare(cgroups.find_parents())
    except CgroupError as error:
        pytest.skip(f"this account has no control groups: {error}")
    left = [folder / "fedstudy-4194305-dead" for folder in set(parents.folders.values())]
    for folder in left:
        folder.mkdir()
    cgroups.prepare(parents)
    assert not any(folder.exists() for folder in left)

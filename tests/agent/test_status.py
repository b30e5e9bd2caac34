"""What the agent says about itself."""

from pathlib import Path

from fedstudy_node.status import Status, read_status


def test_a_status_that_cannot_be_written_ends_nothing_and_is_written_later(tmp_path: Path) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    status = Status(home / "status.json")
    home.rename(away)
    status.set(fleet="connected")
    away.rename(home)
    assert read_status(home / "status.json")["fleet"] == "connecting"
    status.set(portal="connected")
    now = read_status(home / "status.json")
    assert (now["fleet"], now["portal"]) == ("connected", "connected")

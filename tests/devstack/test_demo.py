"""What the demo is asked for is checked before it plays."""

from pathlib import Path

import pytest

from devstack.demo import __main__ as demo


@pytest.mark.parametrize(
    "words",
    [
        ["--port", "99999"],
        ["--port", "0"],
        ["--rounds", "0"],
        ["--json", "/nonexistent/x.json"],
        ["--json", "/tmp"],
        ["--dossier", f"{__file__}/dossier"],
        ["--dossier", str(Path(__file__).parent)],
    ],
)
def test_what_cannot_be_done_is_said_at_once(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        demo._read_arguments(words)
    assert words[0] in capsys.readouterr().err


def test_what_can_be_done_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert demo._read_arguments(["--json", str(file), "--port", "8443"]).json == file
    file.write_text("{}")
    assert demo._read_arguments(["--json", str(file)]).json == file


def test_a_dossier_goes_into_a_folder_of_its_own(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "new", tmp_path / "further" / "down"):
        assert demo._read_arguments(["--dossier", str(folder)]).dossier == folder

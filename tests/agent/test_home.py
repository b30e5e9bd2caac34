"""The node's home: who may read it, what opens the keys, what is trusted."""

from pathlib import Path

import pytest

from fedstudy_core.errors import FedStudyError
from fedstudy_node.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path / "home", name="cleveland")


def test_nobody_else_may_read_a_home(home: Home) -> None:
    assert home.path.stat().st_mode & 0o777 == 0o700
    files = [path for path in home.path.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    home.path.chmod(0o755)
    with pytest.raises(FedStudyError, match="E_HOME"):
        Home.open(home.path)


def test_a_home_is_never_overwritten(home: Home) -> None:
    before = (home.path / "keys/identity.pem").read_bytes()
    with pytest.raises(FedStudyError, match="E_HOME"):
        Home.create(home.path, name="other")
    assert (home.path / "keys/identity.pem").read_bytes() == before


def test_the_secret_of_draws_is_made_once_and_is_the_owners(home: Home) -> None:
    secret = home.drawing_secret()
    assert len(secret) == 32
    assert Home.open(home.path).drawing_secret() == secret
    assert (home.path / "keys/drawing.key").stat().st_mode & 0o777 == 0o600


def test_a_node_that_is_not_enrolled_says_so(home: Home) -> None:
    with pytest.raises(FedStudyError, match="not enrolled"):
        home.enrolled()


def test_settings_of_a_newer_version_are_left_alone(home: Home) -> None:
    file = home.path / "node.toml"
    file.write_text(file.read_text() + 'colour = "blue"\n')
    assert home.settings().name == "cleveland"


@pytest.mark.parametrize("name", ["", "node 1", "a;reboot", "../up", "n" * 64])
def test_a_node_takes_no_name_that_the_portal_refuses(tmp_path: Path, name: str) -> None:
    with pytest.raises(FedStudyError, match="E_INVALID"):
        Home.create(tmp_path / "home", name=name)
    assert not (tmp_path / "home").exists()

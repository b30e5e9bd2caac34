"""The node's home: who may read it, what opens the keys, what is trusted."""

from pathlib import Path

import pytest

from fedstudy_core.errors import FedStudyError
from fedstudy_node.home import Home
from tests.factories.agent import PASSPHRASE


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path / "home", name="cleveland", passphrase=PASSPHRASE)


def test_nobody_else_may_read_a_home(home: Home) -> None:
    assert home.path.stat().st_mode & 0o777 == 0o700
    files = [path for path in home.path.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    home.path.chmod(0o755)
    with pytest.raises(FedStudyError, match="E_HOME"):
        Home.open(home.path)


def test_the_approval_key_needs_its_passphrase(home: Home) -> None:
    key = home.approval_key(PASSPHRASE)
    assert next(iter(home.trusted_keys().values())).public_bytes_raw() == key.public_key().public_bytes_raw()
    for wrong in (b"something else", b""):
        with pytest.raises(FedStudyError, match="E_PASSPHRASE"):
            home.approval_key(wrong)
    assert b"ENCRYPTED" in (home.path / "keys/approval.pem").read_bytes()


@pytest.mark.parametrize("passphrase", [b"", b"short"])
def test_a_short_passphrase_is_not_taken(tmp_path: Path, passphrase: bytes) -> None:
    with pytest.raises(FedStudyError, match="E_PASSPHRASE"):
        Home.create(tmp_path / "home", name="n", passphrase=passphrase)
    assert not (tmp_path / "home").exists()


def test_a_home_is_never_overwritten(home: Home) -> None:
    before = (home.path / "keys/identity.pem").read_bytes()
    with pytest.raises(FedStudyError, match="E_HOME"):
        Home.create(home.path, name="other", passphrase=PASSPHRASE)
    assert (home.path / "keys/identity.pem").read_bytes() == before


def test_a_node_that_is_not_enrolled_says_so(home: Home) -> None:
    with pytest.raises(FedStudyError, match="not enrolled"):
        home.enrolled()


def test_settings_of_a_newer_version_are_left_alone(home: Home) -> None:
    file = home.path / "node.toml"
    file.write_text(file.read_text() + 'colour = "blue"\n')
    assert home.settings().name == "cleveland"

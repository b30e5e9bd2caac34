"""Whose signature counts: pinned by the hospital, each with a key, a name and a role."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fedstudy_core import keys
from fedstudy_core.errors import FedStudyError, Invalid, Refusal
from fedstudy_node.errors import NodeError
from fedstudy_node.trust import CODE_TRIES, Trust, pinned
from tests.factories.agent import PASSPHRASE, make_node


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust(make_node(tmp_path).home)


def other(name: str = "Demo Steward") -> object:
    return pinned(kind="console", name=name, role="data steward", key=keys.public_text(keys.generate().public_key()))


def code_of(act: object, *arguments: object, **named: object) -> str:
    with pytest.raises(FedStudyError) as error:
        act(*arguments, **named)  # type: ignore[operator]
    return error.value.code


def test_a_console_key_is_made_pinned_and_opened_by_its_passphrase_only(trust: Trust) -> None:
    entry = trust.add_console_key(name="Demo Steward", role="data steward", passphrase=PASSPHRASE)
    assert trust.find("Demo Steward") == trust.find(entry.id[:8]) == entry
    assert keys.key_id(trust.console_key(entry, PASSPHRASE).public_key()) == entry.id
    assert code_of(trust.console_key, entry, b"another passphrase") == "E_PASSPHRASE"
    assert set(trust.approvers()) == {known.id for known in trust.all()}


def test_a_short_passphrase_makes_no_key(trust: Trust) -> None:
    before = list((trust.home.path / "keys").iterdir())
    assert code_of(trust.add_console_key, name="Ada", role="site admin", passphrase=b"short") == "E_PASSPHRASE"
    assert list((trust.home.path / "keys").iterdir()) == before


def test_a_name_or_a_key_is_pinned_once(trust: Trust) -> None:
    entry = other()
    trust.add(entry)  # type: ignore[arg-type]
    assert code_of(trust.add, entry) == "E_EXISTS"
    assert code_of(trust.add, other()) == "E_EXISTS"


@pytest.mark.parametrize("name", ["", " Ada", "Ada\n", "Ada\u202e", "x" * 201])
def test_a_name_that_could_deceive_is_not_pinned(trust: Trust, name: str) -> None:
    with pytest.raises(Invalid):
        trust.invite(name=name, role="site admin")
    assert not (trust.home.path / "invitation.json").exists()


def test_somebody_must_be_left_who_can_sign(trust: Trust) -> None:
    [only] = trust.all()
    assert code_of(trust.remove, only) == "E_STATE"
    trust.add(other())  # type: ignore[arg-type]
    trust.remove(only)
    assert [entry.name for entry in trust.all()] == ["Demo Steward"]
    assert only.id not in trust.approvers()


def test_who_is_named_must_be_one_person(trust: Trust) -> None:
    assert code_of(trust.find, "Nobody") == "E_NOT_FOUND"
    assert code_of(trust.find, trust.all()[0].id[:7]) == "E_NOT_FOUND"
    trust.add(other())  # type: ignore[arg-type]
    assert code_of(trust.on_console) == "E_NOT_FOUND"


def test_the_node_itself_is_no_person(trust: Trust) -> None:
    own = keys.key_id(trust.home.identity_key().public_key())
    assert own not in trust.approvers()
    assert trust.signers()[own].role == "standing policy"


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"approvers": 3}', b'{"approvers": [{"name": "x"}]}', b"\xff"]
)
def test_a_damaged_file_trusts_nobody(trust: Trust, content: bytes) -> None:
    (trust.home.path / "trust.json").write_bytes(content)
    with pytest.raises(NodeError, match="E_HOME"):
        trust.signers()


def test_a_code_invites_whom_it_was_made_for(trust: Trust) -> None:
    code = trust.invite(name="Demo Passkey", role="data steward")
    assert code not in (trust.home.path / "invitation.json").read_text()
    spoken = f"{code[:4]}-{code[4:8]} {code[8:]}".lower()
    assert trust.invitation(spoken) == ("Demo Passkey", "data steward")
    trust.end_invitation()
    assert code_of(trust.invitation, code) == "E_TOKEN"


def test_a_new_code_ends_the_one_before(trust: Trust) -> None:
    first = trust.invite(name="Demo Passkey", role="site admin")
    trust.invite(name="Demo Passkey", role="site admin")
    assert code_of(trust.invitation, first) == "E_TOKEN"


def test_five_wrong_tries_end_a_code(trust: Trust) -> None:
    code = trust.invite(name="Demo Passkey", role="site admin")
    for _ in range(CODE_TRIES - 1):
        assert code_of(trust.invitation, "AAAA-AAAA-AAAA") == "E_TOKEN"
    assert trust.invitation(code)[0] == "Demo Passkey", "four wrong tries leave the right one"
    assert code_of(trust.invitation, "AAAA-AAAA-AAAA") == "E_TOKEN"
    assert code_of(trust.invitation, code) == "E_TOKEN"


def test_a_code_is_good_for_ten_minutes(trust: Trust) -> None:
    code = trust.invite(name="Demo Passkey", role="site admin")
    file = trust.home.path / "invitation.json"
    raw = json.loads(file.read_bytes())
    assert timedelta(minutes=9) < datetime.fromisoformat(raw["ends"]) - datetime.now(UTC) <= timedelta(minutes=10)
    file.write_text(json.dumps(raw | {"ends": (datetime.now(UTC) - timedelta(seconds=1)).isoformat()}))
    with pytest.raises(Refusal, match="E_TOKEN"):
        trust.invitation(code)

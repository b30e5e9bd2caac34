"""Dictionaries by the client and the command line, against the portal itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from fedstudy_client import FedStudy
from fedstudy_client.cli import dictionaries, main
from fedstudy_client.problem import FedStudyProblem
from studies.dictionary.models import DictionaryVersion
from tests.api.world import World
from tests.client.portals import Portal

pytestmark = pytest.mark.django_db
TABLE = "name,type,unit,min,codes\nage,integer,years,18,\nsex,categorical,,,1 = f | 2 = m\n"
REDCAP = "Variable / Field Name,Field Type,Field Label,Identifier?\nage,notes,Age,\nsurname,text,Name,y\n"


@pytest.fixture
def pi(world: World, nobody_tried_yet: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FedStudy]:
    with ExitStack() as stack:
        client = Portal(stack).client(world.pi.email)

        @contextmanager
        def connected() -> Iterator[FedStudy]:
            yield client

        monkeypatch.setattr(dictionaries, "portal", connected)
        yield client


def file(folder: Path, text: str, name: str = "dictionary.csv") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_draft_is_written_and_published(world: World, pi: FedStudy) -> None:
    draft = pi.dictionary.draft(world.study)
    assert (draft.revision, draft.base) == (0, 1)
    assert [item["name"] for item in draft.variables] == ["age", "stenosis"]
    saved = pi.dictionary.save_draft(world.study, draft.variables[:1], revision=0)
    assert (saved.revision, saved.base) == (1, 1)
    with pytest.raises(FedStudyProblem, match="E_STATE"):
        pi.dictionary.save_draft(world.study, draft.variables, revision=0)
    with pytest.raises(FedStudyProblem, match="meanwhile"):
        pi.dictionary.publish_draft(world.study, revision=2)
    published = pi.dictionary.publish_draft(world.study, revision=1)
    assert (published.number, len(published.variables)) == (2, 1)
    pi.dictionary.save_draft(world.study, draft.variables)
    pi.dictionary.discard_draft(world.study)
    assert pi.dictionary.draft(world.study).revision == 0


def test_a_table_is_published_fetched_and_converted(world: World, pi: FedStudy, tmp_path: Path) -> None:
    assert main(["dictionary", "publish", file(tmp_path, TABLE)]) == 0
    newest = DictionaryVersion.objects.filter(study=world.study).order_by("number").last()
    assert newest is not None
    assert [item["name"] for item in newest.variables] == ["age", "sex"]
    assert main(["dictionary", "fetch", "--output", str(tmp_path / "fetched.csv")]) == 0
    assert main(["dictionary", "fetch", "--output", str(tmp_path / "fetched.json")]) == 0
    assert main(["dictionary", "convert", str(tmp_path / "fetched.csv"), "-o", str(tmp_path / "again.json")]) == 0
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads((tmp_path / "fetched.json").read_text())
    assert main(["dictionary", "convert", str(tmp_path / "again.json"), "-o", str(tmp_path / "again.csv")]) == 0
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "fetched.csv").read_text()


def test_what_redcap_s_dictionary_leaves_behind_is_told_first(
    world: World, pi: FedStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    redcap = file(tmp_path, REDCAP)
    assert main(["dictionary", "publish", redcap]) == 1
    told = capsys.readouterr()
    assert "E_DICTIONARY_IDENTIFIER" in told.out
    assert told.err.startswith("E_DICTIONARY_LEFT_OUT")
    assert DictionaryVersion.objects.filter(study=world.study).count() == 1
    assert main(["dictionary", "publish", redcap, "--yes", "--json"]) == 0
    assert [note["variable"] for note in json.loads(capsys.readouterr().out)["notes"]] == ["surname"]


def test_a_cell_that_does_not_fit_is_told(pi: FedStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = file(tmp_path, "name,type,min\nage,integer,young\n")
    assert main(["dictionary", "convert", wrong, "-o", str(tmp_path / "x.json")]) == 1
    assert "row 2, min: This is a number" in capsys.readouterr().err
    assert not (tmp_path / "x.json").exists()

"""Scripts whose packages this node does not have."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from fedstudy_node.runs import Runs
from tests.factories.agent import needy
from tests.factories.office import Office


def test_a_script_whose_packages_are_not_here_is_refused_before_anything_of_it_runs(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    fab = needy()
    office.open(fab)
    started: list[object] = []
    monkeypatch.setattr(Runs, "start_child", lambda *given: started.append(given))
    order = office.node.order(office.node.approve(fab))
    answer = office.ask(order)
    code, account = office.error(answer)
    assert (code, account.outcome, started) == ("E_DEPENDENCY", "refused", [])
    assert "of-tomorrow>=2.0" in str(answer.message.error.reason)


def test_once_its_packages_are_installed_the_script_runs(
    office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fab = needy()
    office.open(fab)
    order = office.node.order(office.node.approve(fab))
    assert office.error(office.ask(order))[0] == "E_DEPENDENCY"
    installed = tmp_path / "packages"
    installed.mkdir()
    (installed / "of_tomorrow.py").write_text("")
    monkeypatch.syspath_prepend(installed)
    monkeypatch.setattr(Runs, "start_child", lambda *given: SimpleNamespace(call=lambda *_, **__: None))
    assert office.desk.take(office.incoming(order)) is None, "the script is at work"

"""What the static analysis says of scripts that must be looked at, and of those that are ordinary."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from federation.library.catalogue import ready_script
from fedstudy_core import bundle
from fedstudy_core.analysis import MAX_FINDINGS, Category, Risk, analyse, highest
from fedstudy_core.analysis.bandit_report import bandit_findings
from fedstudy_core.analysis.references import REFERENCES
from fedstudy_core.analysis.rules import RULES
from fedstudy_core.archives import read_archive
from tests.core.analysis.frame import PROJECT, bundle_files, in_train
from tests.core.analysis.ordinary import ORDINARY
from tests.core.analysis.risky import RISKY

RANKS = {risk.value: risk.rank for risk in Risk}


@pytest.mark.parametrize("name", RISKY)
def test_what_is_risky_is_found(name: str) -> None:
    source, category, rule, risk = RISKY[name]
    met = [item for item in analyse(bundle_files(source)) if item.rule == rule]
    assert met, "nothing was found"
    assert {item.category.value for item in met} == {category}
    assert max(item.risk.rank for item in met) >= RANKS[risk]
    assert all(item.path in ("tiny/client.py", "tiny/server.py") and item.detail.endswith(".") for item in met)


def test_the_corpus_is_large_and_of_every_category() -> None:
    assert len(RISKY) >= 27
    assert {category for _, category, _, _ in RISKY.values()} == {category.value for category in Category}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_scripts_have_nothing_to_mind(name: str) -> None:
    found = analyse(
        {"pyproject.toml": PROJECT.encode(), **{path: text.encode() for path, text in ORDINARY[name].items()}}
    )
    assert [item for item in found if item.risk is not Risk.LOW] == []


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # of Flower's own build
def test_the_library_has_nothing_to_mind_but_the_layer_that_it_keeps() -> None:
    fab = bundle.build(ready_script("heart_disease").source)
    found = [(item.rule, item.path) for item in analyse(read_archive(fab)) if item.risk is not Risk.LOW]
    assert found == [("FLOWER_STATE", "heart_disease/local.py")]


def test_own_rules_see_more_than_bandit_alone() -> None:
    """The reason to have them: bandit alone says nothing of most of these."""
    seen = 0
    for source, category, _, _ in RISKY.values():
        try:
            compile(source, "x", "exec", dont_inherit=True)
        except (SyntaxError, RecursionError, MemoryError):
            continue
        seen += any(item.category.value == category for item in bandit_findings({"x.py": source.encode()}))
    assert 5 <= seen < len(RISKY) / 2


def test_bandit_speaks_beside_the_own_rules_and_is_not_silenced() -> None:
    source = in_train("import tarfile\ntarfile.open(f).extractall()  # nosec")
    assert "bandit:B202" in {item.rule for item in analyse(bundle_files(source))}
    twice = [item for item in analyse(bundle_files(in_train("eval('1')"))) if item.category is Category.DYNAMIC]
    assert [item.rule for item in twice] == ["DYNAMIC_CODE"]


def test_what_no_site_runs_counts_as_low() -> None:
    files = bundle_files(in_train("pass"), **{"tiny/plots.py": "import subprocess\n"})
    (found,) = analyse(files)
    assert (found.path, found.risk, found.category) == ("tiny/plots.py", Risk.LOW, Category.PROCESS)
    assert "No part of the client app imports this file." in found.detail


@pytest.mark.parametrize(
    "way",
    [
        "from . import plots",
        "from .plots import x",
        "import tiny.plots",
        "from tiny import plots",
        "from tiny.plots import x",
    ],
)
def test_what_the_client_imports_in_any_way_counts(way: str) -> None:
    files = bundle_files(in_train(way), **{"tiny/plots.py": "import subprocess\n"})
    assert [(item.path, item.risk) for item in analyse(files) if item.rule == "PROCESS_MODULE"] == [
        ("tiny/plots.py", Risk.HIGH)
    ]


def test_what_a_package_runs_on_import_counts() -> None:
    files = bundle_files(in_train("pass"), **{"tiny/__init__.py": "import subprocess\n"})
    assert highest(analyse(files)) is Risk.HIGH


def test_nothing_is_low_when_anything_may_be_loaded() -> None:
    files = bundle_files(
        in_train("__import__(context.run_config['folder'])"), **{"tiny/plots.py": "import subprocess\n"}
    )
    assert {item.risk for item in analyse(files) if item.path == "tiny/plots.py"} == {Risk.HIGH}


@pytest.mark.parametrize("path", ["numpy.py", "json/__init__.py", "sitecustomize.py", "torch/nn.py", "x.pth"])
def test_names_of_libraries_are_not_taken(path: str) -> None:
    found = analyse(bundle_files(in_train("pass"), **{path: ""}))
    assert [(item.rule, item.path, item.risk) for item in found] == [("OBFUSCATED_SHADOW", path, Risk.HIGH)]


@pytest.mark.parametrize(
    ("dependency", "rule"),
    [
        ("left-pad>=1", "FLOWER_DEPENDENCY"),
        ("torch @ https://x.example/torch.whl", "FLOWER_DEPENDENCY_ADDRESS"),
        ("../wheel.whl", "FLOWER_DEPENDENCY_ADDRESS"),
    ],
)
def test_dependencies_are_known_libraries(dependency: str, rule: str) -> None:
    project = PROJECT.replace('"numpy"', f'"{dependency}"')
    (found,) = analyse(bundle_files(in_train("pass"), **{"pyproject.toml": project}))
    assert (found.rule, found.path, found.line) == (rule, "pyproject.toml", 5)


def test_findings_come_riskiest_first_and_have_an_end() -> None:
    found = analyse(bundle_files(in_train("eval('1')\n" * 600 + "os.getpid()", before="import os\n")))
    assert len(found) == MAX_FINDINGS
    ranks = [item.risk.rank for item in found]
    assert ranks == sorted(ranks, reverse=True)
    assert found[0].as_json().keys() == {"path", "line", "category", "risk", "rule", "detail"}


def test_every_reference_has_a_rule() -> None:
    assert {rule for rule in REFERENCES.values() if rule} <= set(RULES)


@pytest.mark.slow
@pytest.mark.parametrize(
    "source",
    [
        "x = [" * 5000,
        "x = " + "(" * 150 + ")" * 150,
        "a.query(b)\n" * 20_000,
        "x = '" + "ab" * 400_000 + "'",
        "f(" * 70 + ")" * 70,
    ],
)
def test_no_source_holds_the_analysis_up(source: str) -> None:
    begin = time.monotonic()
    analyse(bundle_files(source))
    assert time.monotonic() - begin < 20


def test_the_analysis_runs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    analyse(bundle_files(f"open({str(mark)!r}, 'w').close()\n", **{"tiny/__init__.py": f"open({str(mark)!r}, 'w')"}))
    assert not mark.exists()

"""The library's list, and the bundle and dictionary of its script."""

import json
from pathlib import Path

import pandas as pd
import pytest

from federation.library import catalogue
from fedstudy_core import bundle, dictionary, parameters
from fedstudy_node.validation import validate

# Flower's builder asks for patterns by a name that pathspec retires.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")


def test_the_library_lists_its_scripts() -> None:
    scripts = catalogue.ready_scripts()
    assert [script.name for script in scripts] == ["heart_disease"]
    assert scripts[0].title == "Heart disease: logistic regression"
    assert scripts[0].readme.startswith("# Heart disease")


def test_an_unknown_script_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        catalogue.ready_script("../runs")


def test_the_bundle_holds_the_app_and_nothing_else() -> None:
    source = catalogue.ready_script("heart_disease").source
    fab = bundle.build(source)
    found = bundle.inspect(fab)
    assert fab == bundle.build(source)
    assert {file.path for file in found.files} - {".info/CONTENT"} == {
        *("LICENSE", "README.md", "dictionary.json", "pyproject.toml"),
        *(f"heart_disease/{name}.py" for name in ("__init__", "client_app", "dataset", "local")),
        *(f"heart_disease/{name}.py" for name in ("preparation", "server_app", "task")),
    }
    assert found.declaration.headline == "auc"
    assert (found.declaration.initial, found.declaration.sums) == ("query.initial_model", "query.moments")


def test_every_parameter_has_a_range_and_a_description() -> None:
    found = parameters.from_project(catalogue.ready_script("heart_disease").project)
    assert len(found) == 13
    for parameter in found:
        assert parameter.description
        assert parameter.choices or (parameter.min is not None and parameter.max is not None)


@pytest.mark.parametrize("centre", ["Cleveland", "Hungary", "Switzerland", "VA Long Beach"])
def test_every_centre_fits_the_dictionary(paths: dict[str, Path], centre: str) -> None:
    content = catalogue.ready_script("heart_disease").dictionary
    assert content is not None
    report = validate(pd.read_csv(paths[centre]), dictionary.parse(json.loads(content)))
    assert [finding for finding in report.findings if finding.blocks] == []
    hidden = {finding.variable for finding in report.findings if finding.code == "implausible"}
    assert ("chol" in hidden) == (centre in {"Switzerland", "VA Long Beach"})

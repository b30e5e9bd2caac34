"""What a script's two apps need, and what this Python has of it."""

import io
import zipfile
from pathlib import Path

import pytest

from fedstudy_core import packages
from fedstudy_core.errors import Refusal
from fedstudy_core.packages import missing_packages, refuse_without_packages

PROJECT = """
[project]
name = "needy"
version = "1.0.0"
license = "Apache-2.0"
dependencies = [{dependencies}]
[tool.flwr.app]
publisher = "tests"
[tool.flwr.app.components]
serverapp = "needy.server_app:app"
clientapp = "needy.client_app:app"
"""


def needy(*dependencies: str, client: str = "import of_tomorrow", server: str = "", task: str = "") -> bytes:
    """A bundle that declares dependencies and imports what it says."""
    named = ", ".join(f'"{text}"' for text in dependencies)
    files = {
        "pyproject.toml": PROJECT.format(dependencies=named),
        "needy/__init__.py": "",
        "needy/client_app.py": f"{client}\n",
        "needy/server_app.py": f"{server}\n",
        "needy/task.py": f"{task}\n",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return packed.getvalue()


@pytest.mark.parametrize(
    "declared", ["of-tomorrow", "Of.Tomorrow>=2", "of_tomorrow[all]==3.1", "of-tomorrow; python_version > '3'"]
)
def test_what_is_declared_imported_and_absent_is_missing(declared: str) -> None:
    assert missing_packages(needy("numpy", declared), "client") == (declared,)


@pytest.mark.parametrize("declared", ["of-tomorrow; python_version < '3'", "another", "@ nonsense"])
def test_nothing_else_is(declared: str) -> None:
    assert missing_packages(needy(declared), "client") == ()


def test_each_side_needs_what_its_own_app_imports() -> None:
    fab = needy("of-tomorrow", "of-yesterday", client="import numpy", server="from of_yesterday.parts import part")
    assert missing_packages(fab, "client") == ()
    assert missing_packages(fab, "server") == ("of-yesterday",)


@pytest.mark.parametrize(
    "client", ["from needy import task", "from . import task", "from needy.task import of_tomorrow"]
)
def test_imports_of_imported_files_count(client: str) -> None:
    assert missing_packages(needy("of-tomorrow", client=client, task="import of_tomorrow.deep"), "client")
    assert missing_packages(needy("of-tomorrow", client=client), "client") == ()


def test_imports_within_functions_count_and_own_modules_do_not() -> None:
    fab = needy("of-tomorrow", "needy", client="import needy\ndef train():\n    import of_tomorrow")
    assert missing_packages(fab, "client") == ("of-tomorrow",)


@pytest.mark.parametrize(
    ("declared", "client"),
    [
        ("scikit-learn>=1.0", "from sklearn.linear_model import LogisticRegression"),
        ("xgboost>=2.0", "import xgboost as xgb"),  # which xgboost-cpu gives
        ("torch==2.1.0", "import torch"),
        ("numpy<2", "import numpy"),
    ],
)
def test_what_is_here_in_another_form_will_do(declared: str, client: str) -> None:
    assert missing_packages(needy(declared, client=client), "client") == ()


@pytest.mark.parametrize("declared", ["xgboost>=99", "xgboost>99.1,<100", "xgboost~=99.0"])
def test_what_is_too_old_will_not(declared: str) -> None:
    assert missing_packages(needy(declared, client="import xgboost"), "client") == (declared,)


def test_a_package_that_is_installed_is_found_at_the_next_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fab = needy("of-tomorrow")
    monkeypatch.syspath_prepend(tmp_path)
    assert missing_packages(fab, "client")
    (tmp_path / "of_tomorrow.py").write_text("")
    assert missing_packages(fab, "client") == ()


def test_nothing_of_a_script_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_for: list[str] = []
    monkeypatch.setattr(packages, "find_spec", looked_for.append)
    assert missing_packages(needy("of-tomorrow", client="import of_tomorrow.deep.down"), "client")
    assert looked_for == ["of_tomorrow"]


def test_the_refusal_names_what_is_missing() -> None:
    with pytest.raises(Refusal) as refusal:
        refuse_without_packages(needy("of-tomorrow>=2"), "client", "This node")
    assert refusal.value.code == "E_DEPENDENCY"
    assert refusal.value.detail == "This node does not have what the script needs: of-tomorrow>=2."
    refuse_without_packages(needy("numpy"), "client", "This node")

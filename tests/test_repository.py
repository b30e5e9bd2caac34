"""Rules of the repository that no tool checks for us."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps
from django.db.models import Field, Model

from fedstudy_core.codes import CODES

ROOT = Path(__file__).resolve().parents[1]
LONGEST_FILE = 400
LONGEST_FUNCTION = 40
# What may never be imported: all of these run code that lies in data.
UNSAFE_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "os.system", "os.popen", "yaml.load", "torch.load", "numpy.load", "pandas.read_pickle"}
# Where the tables of one application may point to; audit stores names, and nobody points upwards or sideways.
# Object permissions are tables beside their object that point to Django's groups and permissions.
FOREIGN_KEYS = {
    "audit": set[str](),
    "accounts": {"auth", "contenttypes"},
    "notifications": {"accounts"},
    "api": {"accounts"},
    "webhooks": {"accounts", "lifecycle"},
    "lifecycle": {"accounts", "auth"},
    "dictionary": {"accounts", "lifecycle"},
    "enrolment": {"accounts", "lifecycle", "dictionary"},
    "scripts": {"accounts", "lifecycle", "dictionary", "enrolment"},
    "pooling": {"accounts", "lifecycle", "dictionary"},
    "registry": {"accounts"},
    "runs": {"accounts", "lifecycle", "dictionary", "enrolment", "scripts", "registry"},
    "degrees": {"accounts", "lifecycle", "enrolment", "scripts", "pooling", "runs"},
    "releases": {"accounts", "runs"},
}


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git knows and that is there."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = [name for name in done.stdout.decode("utf-8").split("\0") if name]
    return tuple(path for path in (ROOT / name for name in names) if path.is_file())


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_vendored(path: Path) -> bool:
    return named(path).startswith("static/vendor/")


@cache
def code() -> tuple[tuple[Path, ast.Module], ...]:
    """Every Python file with its syntax tree."""
    files = [path for path in tracked() if path.suffix == ".py"]
    return tuple((path, ast.parse(path.read_text("utf-8"), filename=named(path))) for path in files)


def product_code() -> Iterator[tuple[Path, ast.Module]]:
    return ((path, tree) for path, tree in code() if not named(path).startswith("tests/"))


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a name or attribute, else ""."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""


def test_platform_is_no_package() -> None:
    """With an __init__.py it would hide the standard library's module of that name."""
    assert not (ROOT / "platform" / "__init__.py").exists()
    import platform

    assert platform.python_version()


# --- sizes


def test_files_are_short() -> None:
    lengths = {
        named(path): len(path.read_text("utf-8").splitlines()) for path, _ in code() if "migrations" not in path.parts
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (function.end_lineno or function.lineno) - body[0].lineno + 1 if body else 0


def test_functions_are_short() -> None:
    lengths = {
        f"{named(path)}:{node.lineno} {node.name}": length(node)
        for path, tree in product_code()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "migrations" not in path.parts
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


# --- what may not be written


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


def test_nothing_is_unpickled() -> None:
    found = {
        f"{named(path)}: {module}"
        for path, tree in code()
        for module in imported(tree)
        if module.split(".")[0] in UNSAFE_MODULES
    }
    assert found == set()


def test_no_call_runs_what_lies_in_data() -> None:
    found = [
        f"{named(path)}:{node.lineno} {dotted(node.func)}"
        for path, tree in code()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and dotted(node.func) in UNSAFE_CALLS
    ]
    assert found == []


def test_arrays_from_elsewhere_are_read_by_the_core() -> None:
    """Flower's `Array.numpy` believes the header: junk raises anything, and a long shape asks for any memory."""
    found = [
        f"{named(path)}:{node.lineno}"
        for path, tree in product_code()
        if named(path).startswith(("federation/runs/", "nodes/agent/", "platform/portal/"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "numpy"
    ]
    assert found == []


def test_no_shell_takes_a_string() -> None:
    found = [
        f"{named(path)}:{node.lineno}"
        for path, tree in code()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword)
        and node.arg == "shell"
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]
    assert found == []


def test_nothing_is_left_for_later() -> None:
    words = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b")
    assert places(words) == []


def test_no_package_registry_is_named() -> None:
    """Where packages come from is the user's choice: a mirror, a proxy, a folder."""
    hosts = ["pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "anaconda" + ".org"]
    assert places(re.compile("|".join(map(re.escape, hosts)))) == []


def places(pattern: re.Pattern[str]) -> list[str]:
    """Where a pattern occurs in text files of the repository that are our own."""
    found = []
    for path in tracked():
        content = path.read_bytes()
        if is_vendored(path) or b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{named(path)}:{number}")
    return found


# --- who may know whom


def test_imports_go_downwards() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def own_models() -> list[type[Model]]:
    return [
        model for label in FOREIGN_KEYS for model in apps.get_app_config(label).get_models(include_auto_created=True)
    ]


def test_every_application_with_tables_is_in_the_table() -> None:
    labels = {
        model._meta.app_label
        for model in apps.get_models()
        if (source := getattr(sys.modules[model.__module__], "__file__", None))
        and ROOT in Path(source).parents
        and ".venv" not in source
    }
    assert labels <= set(FOREIGN_KEYS)


@pytest.mark.parametrize("model", own_models(), ids=lambda model: model._meta.label)
def test_foreign_keys_count_as_imports(model: type[Model]) -> None:
    label = model._meta.app_label
    for field in model._meta.get_fields():
        related = field.related_model if isinstance(field, Field) else None
        if isinstance(related, type) and related._meta.app_label != label:
            assert related._meta.app_label in FOREIGN_KEYS[label], f"{model._meta.label}.{field.name}"


# --- codes


def literals(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def codes_in_use() -> set[str]:
    pattern = re.compile(r"E_[A-Z]+(?:_[A-Z]+)*")
    registry = ROOT / "federation/core/fedstudy_core/codes.py"
    return {
        text for path, tree in product_code() if path != registry for text in literals(tree) if pattern.fullmatch(text)
    }


def test_every_code_in_use_has_a_sentence() -> None:
    assert codes_in_use() - set(CODES) == set()


def test_every_sentence_has_a_use() -> None:
    assert set(CODES) - codes_in_use() == set()


# --- what the documents say


def documents() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


def test_documents_name_codes_that_exist() -> None:
    pattern = re.compile(r"`(E_[A-Z_]+[A-Z])`")
    unknown = {
        f"{named(path)}: {code}"
        for path in documents()
        for code in pattern.findall(path.read_text("utf-8"))
        if code not in CODES
    }
    assert unknown == set()


def test_documents_name_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    pattern = re.compile(r"^make ([a-z-]+)|`make ([a-z-]+)", re.MULTILINE)
    for path in documents():
        for groups in pattern.findall(path.read_text("utf-8")):
            assert "".join(groups) in targets, f"{named(path)}: make {''.join(groups)}"
    assert {"demo", "test"} <= targets


def test_links_between_documents_lead_somewhere() -> None:
    pattern = re.compile(r"\]\((?!https?://|#|mailto:)([^)\s#]+)")
    broken = {
        f"{named(path)}: {target}"
        for path in documents()
        for target in pattern.findall(path.read_text("utf-8"))
        if not (path.parent / target).exists()
    }
    assert broken == set()


def test_operations_explains_every_variable_of_the_portal() -> None:
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    explained = set(re.findall(r"^\| `(FEDSTUDY_[A-Z_]+)` \|", text, re.MULTILINE))
    read = {
        literal
        for path, tree in product_code()
        if named(path).startswith("platform/portal/")
        for literal in literals(tree)
        if re.fullmatch(r"FEDSTUDY_[A-Z_]+", literal)
    }
    assert {name for name in read if f'"{name}"' in portal_environment()} == explained


def portal_environment() -> str:
    """The modules that read the portal's environment."""
    return "".join((ROOT / f"platform/portal/{name}.py").read_text("utf-8") for name in ("settings", "environment"))


# --- versions


def test_distributions_have_one_version() -> None:
    from django.conf import settings

    folders = (".", "federation/core", "nodes/agent", "platform/client")
    projects = [tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))["project"] for folder in folders]
    assert len({project["version"] for project in projects}) == 1
    assert projects[0]["version"] == settings.FEDSTUDY_VERSION
    assert len({project["requires-python"] for project in projects}) == 1
    assert {project["license"] for project in projects} == {"Apache-2.0"}


def test_flower_has_one_version() -> None:
    pins = {
        match
        for name in (
            "pyproject.toml",
            "federation/core/pyproject.toml",
            "nodes/agent/pyproject.toml",
            "requirements.lock",
        )
        for match in re.findall(r"\bflwr==([\d.]+)", (ROOT / name).read_text("utf-8"))
    }
    assert len(pins) == 1


def test_a_files_tests_share_a_process(request: pytest.FixtureRequest) -> None:
    """Otherwise the whole stack is set up several times, and tests count what other processes did."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("all tests are in one process")
    assert request.node.nodeid.endswith(f"@{request.path}")

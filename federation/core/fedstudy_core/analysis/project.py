"""The bundle as a whole: which files run at a site, what the script depends on, names that mislead."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from fedstudy_core.analysis.findings import Finding
from fedstudy_core.analysis.modules import LIBRARIES, STANDARD, plain
from fedstudy_core.analysis.rules import finding

PROJECT = "pyproject.toml"
_STARTED_BY_PYTHON = {"sitecustomize", "usercustomize"}
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Project:
    """What `pyproject.toml` says, as far as the analysis asks.

    Attributes:
        client, server: the modules of the two apps, "" where nothing sound is said.
        messages: the query messages that the script declares, such as "query.moments".
        metrics: the metrics that it declares; empty where it declares none.
        dependencies: as written.
    """

    client: str = ""
    server: str = ""
    messages: frozenset[str] = frozenset()
    metrics: frozenset[str] = frozenset()
    dependencies: tuple[str, ...] = ()


def read_project(content: bytes) -> Project:
    """The project, empty where it cannot be read: a bundle's inspection refuses those."""
    try:
        project = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return Project()
    components = _table(project, "tool", "flwr", "app", "components")
    declared = _table(project, "tool", "fedstudy")
    dependencies = _table(project, "project").get("dependencies", [])
    return Project(
        client=str(components.get("clientapp", "")).partition(":")[0],
        server=str(components.get("serverapp", "")).partition(":")[0],
        messages=frozenset(str(declared[name]) for name in ("initial", "sums") if declared.get(name)),
        metrics=frozenset(_table(declared, "metrics")),
        dependencies=tuple(map(str, dependencies)) if isinstance(dependencies, list) else (),
    )


def _table(values: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """A table within tables, empty where there is none."""
    for name in path:
        inner = values.get(name)
        values = inner if isinstance(inner, Mapping) else {}
    return values


def of_dependencies(content: bytes, project: Project) -> Iterator[Finding]:
    """Dependencies that are none of the known libraries, or come from an address."""
    lines = content.decode("utf-8", "replace").splitlines()
    for dependency in project.dependencies:
        line = next((number for number, text in enumerate(lines, 1) if dependency in text), 1)
        name = _NAME.match(dependency.strip())
        if "@" in dependency or "://" in dependency or name is None:
            yield finding("FLOWER_DEPENDENCY_ADDRESS", PROJECT, line, dependency)
        elif plain(name.group()) not in LIBRARIES:
            yield finding("FLOWER_DEPENDENCY", PROJECT, line, name.group())


def of_names(paths: list[str]) -> Iterator[Finding]:
    """Files that take the place of a library, or that Python starts by itself."""
    for path in paths:
        top = PurePosixPath(path).parts[0].removesuffix(".py")
        if top in _STARTED_BY_PYTHON or ((top in STANDARD or plain(top) in LIBRARIES) and path.endswith(".py")):
            yield finding("OBFUSCATED_SHADOW", path, 1, top)
        elif path.endswith(".pth"):
            yield finding("OBFUSCATED_SHADOW", path, 1, path)


def top_modules(paths: list[str]) -> frozenset[str]:
    """The names under which the bundle's own modules are imported."""
    return frozenset(PurePosixPath(path).parts[0].removesuffix(".py") for path in paths)


def reached_from(module: str, trees: Mapping[str, ast.Module]) -> frozenset[str]:
    """The files that an app's module imports, directly or not, itself and its packages included."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        for path in _files_of(waiting.pop(), trees) - found:
            found.add(path)
            waiting += imports_of(path, trees[path])
    return frozenset(found)


def _files_of(module: str, trees: Mapping[str, ast.Module]) -> set[str]:
    """The module's file and those of the packages around it, as far as the bundle has them."""
    parts = module.split(".")
    places = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    names = {f"{place}/__init__.py" for place in places} | {f"{places[-1]}.py"}
    return names & set(trees)


def imports_of(path: str, tree: ast.Module) -> list[str]:
    """The names that a file imports, in full: modules, and what is taken from them."""
    package = path.removesuffix(".py").removesuffix("/__init__").split("/")
    if not path.endswith("__init__.py"):
        package = package[:-1]
    found: list[str] = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found += [item.name for item in names]
            case ast.ImportFrom(module=module, level=level, names=names):
                base = package[: len(package) - level + 1] if level else []
                start = ".".join([*base, *([module] if module else [])])
                found += [start, *(f"{start}.{item.name}" for item in names)]
    return found

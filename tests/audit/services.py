"""The functions of the portal that write the domain, found in its source, and whether they reach the log.

A call is followed by its name: to a function of the same module, an imported one, one of an imported module, a method
of the same class. What a function calls through a variable is not followed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACES = {
    "accounts": "platform/accounts", "webhooks": "platform/webhooks", "studies": "studies",
    "nodes.registry": "nodes/registry", "federation.runs": "federation/runs",
    "federation.releases": "federation/releases",
}  # fmt: skip
SOURCES = ("platform/accounts", "platform/audit", "platform/notifications", "platform/portal", "platform/webhooks",
           "studies", "nodes/registry", "federation/runs", "federation/releases", "federation/dossiers")  # fmt: skip
ABOUT_EVENTS = {"presenters", "presenters.py", "seeding", "migrations"}
ACTION = re.compile(r'"([a-z_]+:[a-z_]+:[a-z_]+)"')
LOG = "audit.services.record"
WRITES = {
    "save", "create", "get_or_create", "update_or_create", "bulk_create", "bulk_update", "create_user",
}  # fmt: skip
QUERYSET_WRITES = {"update", "delete"}


@dataclass
class Function:
    """A function of the portal.

    Attributes:
        name: module and name, or module, class and name.
        calls: the functions that it calls, as far as that can be told from the source.
        writes: whether it writes rows itself.
    """

    name: str
    calls: set[str] = field(default_factory=set)
    writes: bool = False

    @property
    def is_public(self) -> bool:
        return not self.name.rpartition(".")[2].startswith("_")


def functions() -> Mapping[str, Function]:
    """All of them, by their names."""
    return {made.name: made for module, tree in _modules() for made in _Reader(module, tree).read()}


def actions() -> set[str]:
    """The names of events that the source spells out; some are put together, which this does not follow."""
    found = set[str]()
    for place in SOURCES:
        for file in (ROOT / place).rglob("*.py"):
            if not ABOUT_EVENTS.intersection(file.relative_to(ROOT).parts):
                found |= set(ACTION.findall(file.read_text()))
    return found - {"area:subject:action"}


def reached(start: str, known: Mapping[str, Function]) -> set[str]:
    """The function and all that it may call."""
    seen, waiting = set[str](), [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += known[name].calls if name in known else ()
    return seen


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for package, place in PLACES.items():
        for file in sorted((ROOT / place).rglob("*.py")):
            parts = file.relative_to(ROOT / place).with_suffix("").parts
            if "migrations" not in parts:
                yield ".".join((package, *parts)), ast.parse(file.read_text())


class _Reader:
    def __init__(self, module: str, tree: ast.Module) -> None:
        self._module, self._tree = module, tree
        self._names = dict(self._imported())
        own = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        self._names |= {name: f"{module}.{name}" for name in own}

    def read(self) -> Iterator[Function]:
        for node in self._tree.body:
            if isinstance(node, ast.FunctionDef):
                yield self._function(node, f"{self._module}.{node.name}", "")
            elif isinstance(node, ast.ClassDef):
                for part in node.body:
                    if isinstance(part, ast.FunctionDef):
                        own = f"{self._module}.{node.name}"
                        yield self._function(part, f"{own}.{part.name}", own)

    def _imported(self) -> Iterator[tuple[str, str]]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for item in node.names:
                    yield item.asname or item.name, f"{node.module}.{item.name}"

    def _function(self, node: ast.FunctionDef, name: str, own: str) -> Function:
        made = Function(name)
        for part in ast.walk(node):
            if isinstance(part, ast.Call):
                made.writes |= _writes(part)
                called = self._called(part.func, own)
                if called:
                    made.calls.add(called)
        return made

    def _called(self, func: ast.expr, own: str) -> str:
        match func:
            case ast.Name(id=name):
                return self._names.get(name, "")
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if own:
                return f"{own}.{name}"
            case ast.Attribute(value=ast.Name(id=base), attr=name) if base in self._names:
                return f"{self._names[base]}.{name}"
        return ""


def _writes(call: ast.Call) -> bool:
    """Whether a call writes rows: by a model or manager, or by a queryset (no plain name, as of a dictionary)."""
    if not isinstance(call.func, ast.Attribute):
        return False
    name, of = call.func.attr, call.func.value
    return name in WRITES or (name in QUERYSET_WRITES and isinstance(of, ast.Call | ast.Attribute))

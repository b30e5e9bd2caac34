"""What names in a source file stand for: imports under other names, and simple second names for them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

PASSES = 4


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a name or attribute, "" of anything else."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""


class Names:
    """The names of one file, resolved to what was imported.

    Scopes are not told apart: a name that stands for something risky anywhere in the file counts everywhere in it.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._bound: dict[str, str] = dict(_imported(tree))
        for _ in range(PASSES):
            before = len(self._bound)
            for name, value in _second_names(tree):
                meant = self.resolve(value)
                if meant and meant != name:
                    self._bound.setdefault(name, meant)
            if len(self._bound) == before:
                break

    @property
    def imported(self) -> Mapping[str, str]:
        """What each bound name stands for."""
        return self._bound

    def resolve(self, node: ast.expr) -> str:
        """The dotted name that an expression stands for, as far as that is known; "" otherwise."""
        written = dotted(node)
        first, dot, rest = written.partition(".")
        return f"{self._bound.get(first, first)}{dot}{rest}".removeprefix("builtins.")


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for item in names:
                    yield (item.asname, item.name) if item.asname else (item.name.partition(".")[0],) * 2
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for item in names:
                    yield item.asname or item.name, f"{module}.{item.name}"
            case ast.ImportFrom(names=names):
                for item in names:
                    yield item.asname or item.name, f".{item.asname or item.name}"


def _second_names(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=(ast.Name() | ast.Attribute()) as value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=(ast.Name() | ast.Attribute()) as value):
                yield name, value
            case ast.NamedExpr(target=ast.Name(id=name), value=(ast.Name() | ast.Attribute()) as value):
                yield name, value
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                for target, given in zip(targets, values, strict=False):
                    if isinstance(target, ast.Name):
                        yield target.id, given


# What a value comes from: the run's configuration, the node's, or a message.
ORIGINS = {"run_config": "run", "node_config": "node", "config_records": "run", "content": "run"}


class Origins:
    """Where values come from, by the names that they were given on the way."""

    def __init__(self, tree: ast.Module) -> None:
        self._known: dict[str, set[str]] = {}
        for _ in range(PASSES):
            changed = False
            for name, value in _given(tree):
                found = self.of(value)
                known = self._known.setdefault(name, set())
                changed |= not found <= known
                known |= found
            if not changed:
                break

    def of(self, value: ast.AST) -> set[str]:
        """ "run" and "node", as far as they have a part in the value."""
        found: set[str] = set()
        for node in ast.walk(value):
            if isinstance(node, ast.Attribute) and node.attr in ORIGINS:
                found.add(ORIGINS[node.attr])
            elif isinstance(node, ast.Name):
                found |= self._known.get(node.id, set())
        return found


def _given(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names with the values that they are given, calls of numbers left out: a number is no path."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value):
                names = [item.id for target in targets for item in ast.walk(target) if isinstance(item, ast.Name)]
            case (
                ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                | ast.NamedExpr(target=ast.Name(id=name), value=value)
                | ast.AugAssign(target=ast.Name(id=name), value=value)
            ):
                names = [name]
            case ast.For(target=ast.Name(id=name), iter=value):
                names = [name]
            case _:
                continue
        if not _is_number(value):
            yield from ((name, value) for name in names)


def _is_number(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and dotted(value.func) in ("int", "float", "bool", "len")

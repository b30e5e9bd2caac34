"""From the bytes of a Python file to its syntax tree, with what stands in the way of reading it."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator, Mapping

from fedstudy_core import syntax
from fedstudy_core.analysis.findings import Finding
from fedstudy_core.analysis.rules import finding

MAX_SOURCE, MAX_NODES, MAX_DEPTH, LONGEST_LINE = 200_000, 100_000, 80, 500
_CODINGS = {"utf-8", "utf-8-sig", "ascii"}


def read_sources(sources: Mapping[str, bytes]) -> tuple[dict[str, ast.Module], list[Finding]]:
    """The trees of the files that can be read, up to as much code as a person would review, and what stands out."""
    trees: dict[str, ast.Module] = {}
    found: list[Finding] = []
    left = MAX_NODES
    for path, content in sources.items():
        tree, problems = read_source(path, content)
        found += problems
        left -= sum(1 for _ in ast.walk(tree)) if tree is not None else 0
        if tree is not None and left < 0:
            found.append(
                finding("UNREADABLE", path, 1, "with the files before it, it is more than anybody would review")
            )
        elif tree is not None:
            trees[path] = tree
    return trees, found


def read_source(path: str, content: bytes) -> tuple[ast.Module | None, list[Finding]]:
    """The tree, or None where it cannot be read, and the findings about the text itself."""
    if len(content) > MAX_SOURCE:
        return None, [finding("UNREADABLE", path, 1, "it is longer than anybody would review")]
    found = [*_of_coding(path, content), *_of_lines(path, content)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            tree = syntax.parse(content, path)
    except (SyntaxError, ValueError):
        return None, [*found, finding("UNREADABLE", path, 1, "it is not valid Python")]
    except (RecursionError, MemoryError):
        return None, [*found, finding("UNREADABLE", path, 1, "it is nested too deeply")]
    if _depth(tree) > MAX_DEPTH:
        return None, [*found, finding("UNREADABLE", path, 1, "it is nested too deeply")]
    return tree, [*found, *_of_identifiers(path, tree)]


def _depth(tree: ast.Module) -> int:
    """How deep the tree is, counted without recursion."""
    level: list[ast.AST] = [tree]
    depth = 0
    while level and depth <= MAX_DEPTH:
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        depth += 1
    return depth


def _of_coding(path: str, content: bytes) -> Iterator[Finding]:
    """Python decodes a file as its first lines say; everybody else shows it as UTF-8."""
    try:
        coding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    except SyntaxError:
        coding = "unknown"
    if (coding.lower() not in _CODINGS and not content.isascii()) or coding.lower() not in {
        *_CODINGS,
        "iso-8859-1",
        "latin-1",
        "cp1252",
    }:
        yield finding("OBFUSCATED_CODING", path, 1, coding)


def _of_lines(path: str, content: bytes) -> Iterator[Finding]:
    for number, line in enumerate(content.split(b"\n"), 1):
        if len(line) > LONGEST_LINE:
            yield finding("OBFUSCATED_LINE", path, number, str(len(line)))


def _of_identifiers(path: str, tree: ast.Module) -> Iterator[Finding]:
    fields = ("id", "attr", "arg", "name", "asname")
    for node in ast.walk(tree):
        for name in (getattr(node, field, None) for field in fields):
            if isinstance(name, str) and not name.isascii():
                yield finding("OBFUSCATED_IDENTIFIER", path, getattr(node, "lineno", 1), name)

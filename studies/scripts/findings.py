"""What a reviewer should look at first in a script: read from its source, nothing is executed.

A finding is a pointer for people, not a verdict: the sandbox at the node holds whatever the source says.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

MAX_FINDINGS = 500
MODULES = {
    "SCRIPT_NETWORK": (
        "opens network connections",
        {
            "aiohttp",
            "ftplib",
            "http",
            "httpx",
            "paramiko",
            "requests",
            "smtplib",
            "socket",
            "urllib",
            "urllib3",
            "websockets",
        },
    ),
    "SCRIPT_PROCESS": ("starts other programs", {"multiprocessing", "pty", "subprocess"}),
    "SCRIPT_NATIVE": ("calls machine code directly", {"cffi", "ctypes"}),
    "SCRIPT_PICKLE": (
        "reads formats that can run code",
        {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"},
    ),
    "SCRIPT_IMPORT": ("loads code by a name made at run time", {"importlib", "runpy"}),
}
CALLS = {"eval", "exec", "compile", "__import__"}


def findings_of(sources: Mapping[str, bytes]) -> list[dict[str, object]]:
    """Findings as {path, line, code, detail}, by path and line.

    Args:
        sources: content of each Python file by its path.
    """
    found: list[dict[str, object]] = []
    for path, content in sorted(sources.items()):
        try:
            tree = ast.parse(content, filename=path)
        except (SyntaxError, ValueError):
            found.append(_finding(path, 1, "SCRIPT_SYNTAX", "This file is not valid Python."))
            continue
        hits = {(line, code, detail) for node in ast.walk(tree) for line, code, detail in _of_node(node)}
        found += [_finding(path, *hit) for hit in sorted(hits)]
    return found[:MAX_FINDINGS]


def _finding(path: str, line: int, code: str, detail: str) -> dict[str, object]:
    return {"path": path, "line": line, "code": code, "detail": detail}


def _of_node(node: ast.AST) -> Iterator[tuple[int, str, str]]:
    match node:
        case ast.Import(names=names):
            for name in names:
                yield from _of_module(node.lineno, name.name)
        case ast.ImportFrom(module=str(module), level=0):
            yield from _of_module(node.lineno, module)
        case ast.Call(func=ast.Name(id=name)) if name in CALLS:
            yield node.lineno, "SCRIPT_DYNAMIC", f"Runs code that is made at run time (“{name}”)."
        case ast.Attribute(value=ast.Name(id="os"), attr=attribute) if attribute.startswith(
            ("exec", "spawn", "popen", "system", "fork")
        ):
            yield node.lineno, "SCRIPT_PROCESS", f"Starts other programs (“os.{attribute}”)."


def _of_module(line: int, module: str) -> Iterator[tuple[int, str, str]]:
    top = module.partition(".")[0]
    for code, (what, modules) in MODULES.items():
        if top in modules:
            yield line, code, f"Imports “{module}”, which {what}."

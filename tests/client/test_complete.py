"""What the API can do, the client can do: every operation of the document has a method."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import fedstudy_client
from fedstudy_client import FedStudy
from portal.api.document import openapi_document

SOURCES = Path(fedstudy_client.__file__).parent
README = SOURCES.parent / "README.md"
VERBS = {
    "get": "GET", "each": "GET", "download": "GET", "post": "POST", "upload": "POST", "patch": "PATCH", "put": "PUT",
    "delete": "DELETE",
}  # fmt: skip
Operation = tuple[str, str]
# What programs have no use for.
WITHOUT_METHOD: set[Operation] = set()


def offered() -> set[Operation]:
    """The operations for people."""
    return {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path.removeprefix("/api/v1/")))
        for path, operations in openapi_document()["paths"].items()
        for method in operations
        if not path.startswith("/api/v1/node/")
    }


def asked() -> set[Operation]:
    """The operations that methods of the client ask for, read from its sources."""
    found = set()
    for file in [SOURCES / "client.py", *(SOURCES / "resources").glob("*.py")]:
        for function in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef):
                found |= set(requests_of(function))
    return found


def requests_of(function: ast.FunctionDef) -> Iterator[Operation]:
    """What a method sends, by the verb and by the address, which may have a name of its own."""
    named = {
        target.id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(function):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if node.func.attr in VERBS and ast.unparse(node.func.value) == "self._http":
            yield from ((VERBS[node.func.attr], path) for path in paths_of(node.args[0], named))


def paths_of(node: ast.expr, named: dict[str, ast.expr]) -> Iterator[str]:
    """The addresses that an expression may be, with what stands for ids left out."""
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
        case ast.IfExp(body=one, orelse=other):
            yield from paths_of(one, named)
            yield from paths_of(other, named)
        case ast.Name(id=name) if name in named:
            yield from paths_of(named[name], {key: value for key, value in named.items() if key != name})


def matches(operation: Operation, made: Operation) -> bool:
    """Whether a method's request is this operation; a method may put a word of the address in by a variable."""
    pattern = re.escape(made[1]).replace(r"\{\}", ".+")
    return operation[0] == made[0] and re.fullmatch(pattern, operation[1]) is not None


def test_every_operation_has_a_method() -> None:
    made = asked()
    missing = {operation for operation in offered() if not any(matches(operation, one) for one in made)}
    assert sorted(missing - WITHOUT_METHOD) == []
    assert missing >= WITHOUT_METHOD, "what has a method now needs no exception"


def test_the_readme_names_every_method() -> None:
    rows = re.findall(r"^\| `portal(?:\.(\w+))?` \| (.*) \|$", README.read_text("utf-8"), re.MULTILINE)
    named = {(part, name) for part, words in rows for name in re.findall(r"`(\w+)`", words)}
    with FedStudy("http://localhost") as portal:
        parts = {"": portal, **{name: part for name, part in vars(portal).items() if not name.startswith("_")}}
    methods = {
        (name, method) for name, part in parts.items() for method in vars(type(part)) if not method.startswith("_")
    }
    assert named - {("", "code")} == methods


def test_every_method_asks_for_what_there_is() -> None:
    assert sorted(one for one in asked() if not any(matches(operation, one) for operation in offered())) == []

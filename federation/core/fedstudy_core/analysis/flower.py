"""Rules for Flower apps: what a client app answers, returns, keeps, and does before it is asked."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from fedstudy_core.analysis.findings import Finding
from fedstudy_core.analysis.literals import folded
from fedstudy_core.analysis.names import Names, dotted
from fedstudy_core.analysis.project import Project
from fedstudy_core.analysis.rules import finding

RECORDS = {"arrays", "metrics", "sums"}
WEIGHT = "num-examples"
_SERVER_SIDE = ("flwr.server", "flwr.serverapp", "flwr.simulation", "flwr.superlink", "flwr.cli")
_QUIET_CALLS = """
ClientApp ServerApp getLogger compile TypeVar NewType ParamSpec namedtuple NamedTuple TypedDict Path frozenset set
dict list tuple range len min max sum sorted int float str bool abs round zip map enumerate isinstance array arange
dtype asarray linspace device set_num_threads MappingProxyType field dataclass property Compose Normalize ToTensor
Resize Enum StrEnum Decimal Fraction timedelta date datetime print zeros ones tensor
"""
_STATE_WRITES = {"append", "extend", "update", "setdefault", "insert", "add"}


def of_client(path: str, tree: ast.Module, project: Project) -> Iterator[Finding]:
    """Findings in a file that runs at a site."""
    names = Names(tree)
    states = _names_of_state(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=items):
                yield from _of_server_side(path, node, [item.name for item in items])
            case ast.ImportFrom(module=str(module), level=0, names=items):
                yield from _of_server_side(path, node, [module, *(f"{module}.{item.name}" for item in items)])
            case ast.FunctionDef(decorator_list=decorators) | ast.AsyncFunctionDef(decorator_list=decorators):
                yield from _of_messages(path, decorators, project)
            case ast.Call():
                yield from _of_records(path, node, names, project)
                yield from _of_state_call(path, node, states)
            case ast.Assign(targets=targets):
                yield from _of_state(path, targets, states)
            case ast.AugAssign(target=target):
                yield from _of_state(path, [target], states)
    yield from _of_import_time(path, tree, names)


def imports_server(path: str, tree: ast.Module, server_files: frozenset[str]) -> Iterator[Finding]:
    """The client's side of a bundle imports the file of the server app."""
    if path in server_files:
        yield finding("FLOWER_SERVER_SIDE", path, 1, path)


def _of_server_side(path: str, node: ast.stmt, modules: list[str]) -> Iterator[Finding]:
    beginnings = tuple(f"{module}." for module in _SERVER_SIDE)
    found = next((item for item in modules if f"{item}.".startswith(beginnings)), None)
    if found:
        yield finding("FLOWER_SERVER_SIDE", path, node.lineno, found)


def _of_messages(path: str, decorators: list[ast.expr], project: Project) -> Iterator[Finding]:
    for decorator in decorators:
        match decorator:
            case ast.Call(func=ast.Attribute(attr=("train" | "evaluate" | "query") as kind), args=args):
                action = folded(args[0]) if args else ""
                if action is None:
                    yield finding("FLOWER_MESSAGE", path, decorator.lineno, f"{kind}, named at run time")
                    continue
                message = f"{kind}.{action}" if action else kind
                if message not in {"train", "evaluate", *project.messages}:
                    yield finding("FLOWER_MESSAGE", path, decorator.lineno, message)


def _of_records(path: str, call: ast.Call, names: Names, project: Project) -> Iterator[Finding]:
    made = names.resolve(call.func).rpartition(".")[2]
    keys = _keys(call)
    if made == "RecordDict":
        for key in keys:
            if key not in RECORDS:
                yield finding("FLOWER_RECORD", path, call.lineno, "a name made at run time" if key is None else key)
    elif made == "MetricRecord" and project.metrics:
        for key in keys:
            if key is not None and key not in project.metrics and key != WEIGHT:
                yield finding("FLOWER_METRIC", path, call.lineno, key)
    elif made == "ConfigRecord" and (call.args or call.keywords):
        yield finding("FLOWER_TEXT", path, call.lineno, made)


def _keys(call: ast.Call) -> list[str | None]:
    """The keys of a call's dictionary; None for one that is made at run time."""
    for argument in [*call.args[:1], *(item.value for item in call.keywords)]:
        if isinstance(argument, ast.Dict):
            return [None if key is None else folded(key) for key in argument.keys]
    return []


def _names_of_state(tree: ast.Module) -> set[str]:
    """Names that stand for `context.state` or a part of it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_state(value, found):
                found.add(name)
    return found


def _is_state(node: ast.AST, states: set[str]) -> bool:
    """Whether an expression reads from `context.state`, by whatever the context is called."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and inner.id in states:
            return True
        if isinstance(inner, ast.Attribute) and inner.attr == "state" and _is_context(inner.value):
            return True
    return False


def _is_context(node: ast.expr) -> bool:
    return dotted(node).rpartition(".")[2] in ("context", "ctx", "cxt", "_context")


def _of_state(path: str, targets: list[ast.expr], states: set[str]) -> Iterator[Finding]:
    for target in targets:
        if isinstance(target, ast.Subscript | ast.Attribute) and _is_state(target, states):
            yield finding("FLOWER_STATE", path, target.lineno, "context.state")


def _of_state_call(path: str, call: ast.Call, states: set[str]) -> Iterator[Finding]:
    if isinstance(call.func, ast.Attribute) and call.func.attr in _STATE_WRITES and _is_state(call.func.value, states):
        yield finding("FLOWER_STATE", path, call.lineno, "context.state")


def _of_import_time(path: str, tree: ast.Module, names: Names) -> Iterator[Finding]:
    """Calls that run when the file is loaded: before a message is there, and before it can be refused."""
    defining = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Import, ast.ImportFrom)
    for statement in tree.body:
        if isinstance(statement, defining) or _is_guarded(statement):
            continue
        body = statement.body if isinstance(statement, ast.ClassDef) else [statement]
        for part in body:
            if not isinstance(part, defining):
                yield from _calls(path, part, names)


def _calls(path: str, statement: ast.stmt, names: Names) -> Iterator[Finding]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Call):
            name = names.resolve(node.func) or getattr(node.func, "attr", "a call")
            if name.rpartition(".")[2] not in _QUIET_CALLS.split():
                yield finding("FLOWER_IMPORT_TIME", path, node.lineno, name)


def _is_guarded(statement: ast.stmt) -> bool:
    """Whether it is `if TYPE_CHECKING:` or `if __name__ == "__main__":`, which do not run at a site."""
    match statement:
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            return True
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return True
    return False

"""What one file of a script imports, calls and reaches for."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from fedstudy_core.analysis.findings import Finding
from fedstudy_core.analysis.literals import folded, of_addresses
from fedstudy_core.analysis.modules import DETOURS, rule_of_module
from fedstudy_core.analysis.names import Names, Origins
from fedstudy_core.analysis.references import INTERNALS, METHODS, TELLING, rule_of_reference
from fedstudy_core.analysis.rules import finding

_BY_ARGUMENTS = {"torch.load", "numpy.load", "yaml.load", "getattr", "setattr", "open"}
_PATHS = {"FILE_READ", "FILE_WRITE", "FILE_LOOK"}
_MAKES_PATHS = {"pathlib.Path", "os.path.join", "pathlib.PurePath"}
_THREADS = {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "PYTHONHASHSEED"}


def of_source(path: str, tree: ast.Module, own: Collection[str]) -> Iterator[Finding]:
    """The findings of one file.

    Args:
        own: names of the bundle's own top modules, which are fine to import.
    """
    yield from _File(path, tree, own).findings()


class _File:
    def __init__(self, path: str, tree: ast.Module, own: Collection[str]) -> None:
        self.path, self.tree, self.own = path, tree, own
        self.names, self.origins = Names(tree), Origins(tree)
        self.called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        self.decorators = {id(item) for node in ast.walk(tree) for item in getattr(node, "decorator_list", ())}
        self.settings = {id(item) for node in ast.walk(tree) if _sets_threads(node) for item in ast.walk(node)}

    def findings(self) -> Iterator[Finding]:
        for node in ast.walk(self.tree):
            match node:
                case ast.Import(names=names):
                    for item in names:
                        yield from self._of_module(node, item.name)
                case ast.ImportFrom(module=str(module), level=0, names=names):
                    yield from self._of_import_from(node, module, [item.name for item in names])
                case ast.Call():
                    yield from self._of_call(node)
                    yield from of_addresses(self.path, node)
                case ast.Attribute() | ast.Name():
                    yield from self._of_reference(node)
                case ast.Assign(targets=targets):
                    yield from self._of_targets(targets)

    def _note(self, rule: str, node: ast.stmt | ast.expr, what: str) -> Finding:
        return finding(rule, self.path, node.lineno, what)

    def _of_module(self, node: ast.stmt, module: str) -> Iterator[Finding]:
        top = module.partition(".")[0]
        rule = "" if top in self.own else rule_of_module(module)
        if rule:
            yield self._note(rule, node, module)

    def _of_import_from(self, node: ast.stmt, module: str, names: list[str]) -> Iterator[Finding]:
        found = list(self._of_module(node, module))
        yield from found
        if found or module.partition(".")[0] in self.own:
            return
        for name in names:
            full = f"{module}.{name}"
            if name == "*" and module in ("os", "sys", "io", "pathlib"):
                yield self._note("DYNAMIC_SCOPE", node, full)
            elif rule := rule_of_module(full):
                yield self._note(rule, node, full)
            elif "." in full and name in DETOURS:
                yield self._note("DYNAMIC_DETOUR", node, full)

    def _of_reference(self, node: ast.Attribute | ast.Name) -> Iterator[Finding]:
        if isinstance(node, ast.Attribute) and node.attr in INTERNALS:
            yield self._note("DYNAMIC_INTERNALS", node, node.attr)
        name = self.names.resolve(node)
        if id(node) in self.called and (name in _BY_ARGUMENTS or self._is_path_call(name)):
            return
        yield from self._of_name(node, name)

    def _of_name(self, node: ast.expr, name: str) -> Iterator[Finding]:
        rule = rule_of_reference(name)
        if name == "os.environ" and id(node) in self.settings:
            return
        if rule and name not in ("os", "sys"):
            yield self._note(rule, node, name)
            return
        detour = _detour(name)
        if detour:
            yield self._note("DYNAMIC_DETOUR", node, name)
            if inner := rule_of_reference(detour):
                yield self._note(inner, node, detour)

    def _is_path_call(self, name: str) -> bool:
        return rule_of_reference(name) in _PATHS

    def _of_call(self, call: ast.Call) -> Iterator[Finding]:
        name = self.names.resolve(call.func)
        rule = rule_of_reference(name)
        if name in ("torch.load", "numpy.load", "yaml.load"):
            yield from self._of_loading(call, name)
        elif name in ("getattr", "setattr"):
            yield from self._of_getattr(call, name)
        elif rule in _PATHS:
            yield from self._of_path(call, rule, name)
        elif name in _MAKES_PATHS:
            yield from self._of_made_path(call, name)
        elif isinstance(call.func, ast.Attribute) and not rule:
            yield from self._of_method(call, call.func)
        for keyword in call.keywords:
            if keyword.arg == "download" and getattr(keyword.value, "value", True) is not False:
                yield self._note("NETWORK_DOWNLOAD", call, name or "download")

    def _of_path(self, call: ast.Call, rule: str, name: str) -> Iterator[Finding]:
        """A call that takes a path: what matters is where the path comes from."""
        origins = set().union(*(self.origins.of(item) for item in [*call.args, *call.keywords]))
        if "run" in origins:
            yield self._note("FLOWER_CONFIG_PATH", call, name)
        elif "node" in origins and rule == "FILE_READ" and not _writes(call):
            yield self._note("FILE_DATASET", call, name)
        else:
            yield self._note("FILE_WRITE" if _writes(call) else rule, call, name)

    def _of_made_path(self, call: ast.Call, name: str) -> Iterator[Finding]:
        if any("run" in self.origins.of(item) for item in call.args):
            yield self._note("FLOWER_CONFIG_PATH", call, name)

    def _of_loading(self, call: ast.Call, name: str) -> Iterator[Finding]:
        given = {item.arg: item.value for item in call.keywords if item.arg}
        if name == "yaml.load":
            loader = self.names.resolve(given["Loader"]) if "Loader" in given else ""
            rule = "" if loader.endswith("SafeLoader") else "DESERIALISE"
        elif name == "torch.load":
            rule = "DESERIALISE_WEIGHTS" if _is(given.get("weights_only"), True) else "DESERIALISE"
        else:
            plain = len(call.args) < 3 and ("allow_pickle" not in given or _is(given["allow_pickle"], False))
            rule = "FILE_READ" if plain and None not in [item.arg for item in call.keywords] else "DESERIALISE"
        if rule == "FILE_READ":
            yield from self._of_path(call, rule, name)
        elif rule:
            yield self._note(rule, call, name)

    def _of_getattr(self, call: ast.Call, name: str) -> Iterator[Finding]:
        chosen = folded(call.args[1]) if len(call.args) > 1 else None
        if chosen is None:
            yield self._note("DYNAMIC_ATTRIBUTE", call, name)
        elif chosen in INTERNALS or chosen in TELLING:
            yield self._note("DYNAMIC_INTERNALS", call, f"{name} {chosen}")
        else:
            reached = f"{self.names.resolve(call.args[0])}.{chosen}"
            yield from self._of_name(call, reached)

    def _of_method(self, call: ast.Call, function: ast.Attribute) -> Iterator[Finding]:
        attribute = function.attr
        if rule := METHODS.get(attribute):
            path = ast.Call(func=function.value, args=[*call.args, function.value], keywords=call.keywords)
            ast.copy_location(path, call)
            yield from self._of_path(path, rule, attribute) if rule in _PATHS else [self._note(rule, call, attribute)]
        elif attribute == "eval" and call.args:
            yield self._note("DYNAMIC_CODE", call, "eval")
        elif attribute == "query" and call.args and folded(call.args[0]) is None and id(call) not in self.decorators:
            yield self._note("DYNAMIC_ATTRIBUTE", call, "query")
        elif attribute == "setdefault" and self.names.resolve(function.value) == "sys.modules":
            yield self._note("DYNAMIC_PATCH", call, "sys.modules")

    def _of_targets(self, targets: list[ast.expr]) -> Iterator[Finding]:
        """Assignments to parts of imported modules."""
        for target in targets:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                module = self.names.imported.get(target.value.id, "")
                if module and not module.startswith("."):
                    yield self._note("DYNAMIC_PATCH", target, f"{module}.{target.attr}")


def _sets_threads(node: ast.AST) -> bool:
    """Whether a statement only says how many threads numerical libraries may use."""
    match node:
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str(name)))]):
            return name in _THREADS
    return False


def _detour(name: str) -> str:
    """The part of a dotted name from a telling module on that is reached by way of another one; "" without one."""
    parts = name.split(".")
    if not parts[0] or parts[0] in DETOURS:
        return ""
    places = [place for place, part in enumerate(parts) if place > 0 and part in DETOURS]
    return ".".join(parts[places[0] :]) if places else ""


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _writes(call: ast.Call) -> bool:
    """Whether a call that opens a file says that it writes."""
    modes = [*call.args[:2], *(item.value for item in call.keywords if item.arg == "mode")]
    texts = [folded(mode) or "" for mode in modes]
    return any(0 < len(text) <= 3 and set(text) <= set("rwaxbt+U") and set(text) & set("wax+") for text in texts)

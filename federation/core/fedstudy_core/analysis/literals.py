"""Text that a file holds or builds: encoded blobs, words in pieces, places and addresses."""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator

from fedstudy_core.analysis.findings import Finding
from fedstudy_core.analysis.references import TELLING
from fedstudy_core.analysis.rules import finding

LONGEST_TEXT, LONGEST_HEX, LONGEST_NUMBERS, LARGEST_NUMBER = 200, 128, 128, 2**256
_ENCODED = re.compile(r"[A-Za-z0-9+/_=-]+")
_HEX = re.compile(r"(?:\\x|0x)?(?:[0-9a-fA-F]{2})+")
_PLACE = re.compile(
    r"^/(?:proc|etc|sys|dev|root|home|var|run|boot|tmp|mnt|opt|usr|srv|media)(?:/|$)|^~(?:/|$)|(?:^|/)\.\.(?:/|$)"
    r"|\.ssh\b|\.aws\b|\.netrc\b|id_rsa|^[A-Za-z]:\\"
)
_ADDRESS = re.compile(r"^(?:https?|ftp|s3|gs|wss?|tcp|ssh)://|^(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?$", re.IGNORECASE)


def folded(node: ast.AST) -> str | None:
    """The text that an expression of constants makes, None where it is not one."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Constant(value=bytes(data)):
            return data.decode("latin-1")
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _joined([left, right])
        case ast.JoinedStr(values=values):
            return _joined(values)
        case ast.FormattedValue(value=value, format_spec=None):
            return folded(value)
        case ast.Subscript(value=inner, slice=ast.Slice(lower=None, upper=None, step=ast.UnaryOp(op=ast.USub()))):
            forwards = folded(inner)
            return None if forwards is None else forwards[::-1]
        case ast.Call(func=ast.Attribute(value=inner, attr=method), args=arguments):
            return _called(inner, method, arguments)
    return None


def _called(inner: ast.expr, method: str, arguments: list[ast.expr]) -> str | None:
    """The text that `" ".join([...])` or `"...".replace(a, b)` makes of constants."""
    match method, arguments:
        case "join", [ast.List(elts=parts) | ast.Tuple(elts=parts)]:
            return _joined(parts, folded(inner))
        case "replace", [old, new]:
            text, before, after = folded(inner), folded(old), folded(new)
            return None if text is None or before is None or after is None else text.replace(before, after)
    return None


def _joined(parts: list[ast.expr], between: str | None = "") -> str | None:
    texts = [text for part in parts if (text := folded(part)) is not None]
    return None if between is None or len(texts) < len(parts) else between.join(texts)


def docstrings(tree: ast.Module) -> set[int]:
    """The ids of the constants that are documentation, or stand there without being used."""
    return {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def of_literals(path: str, tree: ast.Module) -> Iterator[Finding]:
    """Findings in what a file's constants say and hide."""
    said = docstrings(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str() | bytes()) if id(node) in said:
                yield from _of_blob(path, node)
            case ast.Constant(value=str() | bytes()):
                yield from _of_blob(path, node)
                yield from _of_place(path, node, folded(node) or "")
            case ast.Constant(value=int(number)) if abs(number) > LARGEST_NUMBER:
                yield finding("OBFUSCATED_BLOB", path, node.lineno, "a number of more than 256 bits")
            case ast.List(elts=items) | ast.Tuple(elts=items) if _are_bytes(items):
                yield finding("OBFUSCATED_NUMBERS", path, node.lineno, f"{len(items)} numbers")
            case ast.BinOp() | ast.JoinedStr() | ast.Call() | ast.Subscript():
                yield from _of_pieces(path, node)


def of_addresses(path: str, call: ast.Call) -> Iterator[Finding]:
    """Addresses of other machines among a call's arguments."""
    for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
        text = folded(argument)
        if text and _ADDRESS.search(text) and not text.startswith(("127.0.0.1", "0.0.0.0")):  # noqa: S104
            yield finding("NETWORK_ADDRESS", path, argument.lineno, text)


def _of_blob(path: str, node: ast.Constant) -> Iterator[Finding]:
    value = node.value
    if (
        isinstance(value, bytes)
        and len(value) >= LONGEST_TEXT
        and sum(byte > 126 or byte < 9 for byte in value) > len(value) / 5
    ):
        yield finding("OBFUSCATED_BLOB", path, node.lineno, f"{len(value)} bytes")
        return
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    packed = re.sub(r"\s+", "", text)
    if len(packed) >= LONGEST_HEX and _HEX.fullmatch(packed) and len(set(packed.lower())) > 6:
        yield finding("OBFUSCATED_BLOB", path, node.lineno, f"{len(packed)} hexadecimal digits")
    elif len(packed) >= LONGEST_TEXT and _ENCODED.fullmatch(packed) and _entropy(packed) > 4.2:
        yield finding("OBFUSCATED_BLOB", path, node.lineno, f"{len(packed)} characters")


def _entropy(text: str) -> float:
    """Shannon's entropy in bits a character: prose without spaces has about 4.1, base64 close to 6."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def _of_place(path: str, node: ast.expr, text: str) -> Iterator[Finding]:
    if _PLACE.search(text) and not re.search(r"\s", text):
        yield finding("FILE_SYSTEM", path, node.lineno, text)


def _of_pieces(path: str, node: ast.expr) -> Iterator[Finding]:
    """Words and places that come together only when the pieces are joined."""
    text = folded(node)
    if text is None:
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "join"
            and _makes_characters(node)
        ):
            yield finding("OBFUSCATED_CHARACTERS", path, node.lineno, "chr")
        return
    if text.strip().strip("_").removesuffix("()") in {word.strip("_") for word in TELLING}:
        yield finding("OBFUSCATED_NAME", path, node.lineno, text)
    yield from _of_place(path, node, text)


def _makes_characters(call: ast.Call) -> bool:
    inner = [node for argument in call.args for node in ast.walk(argument)]
    return any(isinstance(node, ast.Name) and node.id == "chr" for node in inner)


def _are_bytes(items: list[ast.expr]) -> bool:
    values = [item.value for item in items if isinstance(item, ast.Constant)]
    return len(values) == len(items) >= LONGEST_NUMBERS and all(
        type(value) is int and 0 <= value < 256 for value in values
    )

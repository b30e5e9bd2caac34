"""Python's own parser, one text at a time.

CPython 3.11 counts how deep its parser has gone for all threads together: where two of them parse, one ends with
"SystemError: AST constructor recursion depth mismatch".
"""

from __future__ import annotations

import ast
from threading import Lock

_one_at_a_time = Lock()


def parse(content: bytes, path: str) -> ast.Module:
    """The syntax tree of a Python file; raises what `ast.parse` does."""
    with _one_at_a_time:
        return ast.parse(content, filename=path)

"""Names that people give to things and type into commands."""

from __future__ import annotations

import re

from fedstudy_core.errors import FieldProblem, Invalid

_NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
NODE_NAME_RULE = (
    "A node's name has 1 to 63 letters, digits, dots, dashes and underscores, and begins with a letter or digit."
)


def check_node_name(name: str) -> str:
    """The name as it is. Raises Invalid (E_INVALID) for one that would need quoting in a command or a file's name."""
    if not _NODE_NAME.fullmatch(name):
        raise Invalid("E_INVALID", NODE_NAME_RULE, errors=[FieldProblem("name", "E_INVALID", NODE_NAME_RULE)])
    return name

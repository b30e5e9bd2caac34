"""Parameters on the command line: NAME=VALUE."""

from __future__ import annotations

from typing import Any

import typer


def parse_values(pairs: list[str] | None) -> dict[str, Any]:
    """Parameters of the form NAME=VALUE, values as YAML reads them: 0.1 is a number, true is true."""
    values = {}
    for pair in pairs or ():
        name, equals, text = pair.partition("=")
        value = _scalar(text)
        if not equals or not name or not isinstance(value, int | float | str | bool):
            raise typer.BadParameter(f"“{pair}” is not NAME=VALUE.")
        values[name] = value
    return values


def _scalar(text: str) -> Any:
    import yaml  # takes a moment that commands without values need not wait

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text

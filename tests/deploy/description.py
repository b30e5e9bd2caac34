"""Reads the deployment's files as facts that can be compared with the code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?P<form>:\?|:-)?(?P<text>[^}]*)\}")


def read_compose(path: Path) -> dict[str, Any]:
    """A Compose file with its `extends` followed; merge keys are YAML's own."""
    compose: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    for name, service in compose["services"].items():
        if "extends" in service:
            base = read_compose(path.parent / service["extends"]["file"])
            compose["services"][name] = {**base["services"][service["extends"]["service"]], **service}
    return compose


def settle(text: str, values: dict[str, str] | None = None) -> str:
    """Replace ${NAME:-default} and the like by a value, a default, or the name in angle brackets."""
    given = values or {}

    def value(match: re.Match[str]) -> str:
        default = match["text"] if match["form"] == ":-" else f"<{match['name']}>"
        return given.get(match["name"], default)

    return VARIABLE.sub(value, text)


def words(service: dict[str, Any]) -> list[str]:
    """A service's command as a list, with its defaults filled in."""
    command = service.get("command", [])
    assert isinstance(command, list), "commands are lists: no shell takes them apart"
    return [settle(str(word)) for word in command]


def environment(service: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in service.get("environment", {}).items()}


class Image:
    """A Dockerfile."""

    def __init__(self, name: str) -> None:
        self.path = ROOT / "deploy" / "images" / f"{name}.Dockerfile"
        self.text = self.path.read_text("utf-8")
        joined = self.text.replace("\\\n", " ")
        self.lines = [line.strip() for line in joined.splitlines() if line.strip() and not line.startswith("#")]

    def instructions(self, name: str) -> list[str]:
        return [line.removeprefix(name).strip() for line in self.lines if line.startswith(f"{name} ")]

    def copies(self) -> Iterator[tuple[str, str]]:
        """(source, destination) of everything that is copied from the repository."""
        for line in self.instructions("COPY"):
            if not line.startswith("--from"):
                *sources, destination = line.split()
                yield from ((source, destination) for source in sources)

    def words(self, name: str) -> list[str]:
        """An ENTRYPOINT or CMD as a list."""
        found: list[str] = json.loads(self.instructions(name)[-1])
        return found

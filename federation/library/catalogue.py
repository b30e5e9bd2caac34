"""The ready study scripts, each a folder beside this module with an ordinary Flower app in it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class ReadyScript:
    """One script of the library; ``name`` is its folder's, ``source`` what a bundle is built from."""

    name: str
    title: str
    description: str
    version: str
    source: Path
    project: dict[str, Any]

    @property
    def dictionary(self) -> bytes | None:
        """The data dictionary that the script's data should follow, as JSON, where it has one."""
        path = self.source / "dictionary.json"
        return path.read_bytes() if path.is_file() else None

    @property
    def readme(self) -> str:
        """What the script does, in Markdown."""
        return (self.source / "README.md").read_text("utf-8")


def ready_scripts() -> tuple[ReadyScript, ...]:
    """Every script of the library, by name."""
    return tuple(_read(path.parent) for path in sorted(_FOLDER.glob("*/pyproject.toml")))


def ready_script(name: str) -> ReadyScript:
    """One script; raises KeyError for a name that is none of the library's."""
    return {script.name: script for script in ready_scripts()}[name]


def _read(folder: Path) -> ReadyScript:
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
    return ReadyScript(
        name=folder.name,
        title=project["tool"]["flwr"]["app"]["display-name"],
        description=project["project"]["description"],
        version=project["project"]["version"],
        source=folder,
        project=project,
    )

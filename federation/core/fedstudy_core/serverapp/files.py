"""A file that a ServerApp leaves, as it crosses the pipe."""

from __future__ import annotations

from dataclasses import dataclass

PARAMETERS, OTHER = "parameters", "other"


@dataclass(frozen=True)
class LeftFile:
    """A file of the app's: its path below its folder, and what became of it (`PARAMETERS` are safetensors)."""

    name: str
    form: str
    content: bytes

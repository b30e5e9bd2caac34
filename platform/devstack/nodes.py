"""A hospital's node on this machine: its home, its console commands, and its agent."""

import json
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from devstack.processes import Command


class NodeCommandError(Exception):
    """A `fedstudy-node` command ended with an error; `code` is its stable code ("" when it said none)."""

    def __init__(self, words: tuple[str, ...], errors: str) -> None:
        said = _last_object(errors)
        self.code = str(said.get("code", ""))
        super().__init__(f"fedstudy-node {' '.join(words)}: {said.get('detail') or errors.strip()}")


@dataclass(frozen=True)
class NodeHome:
    """One node, reached the way a site admin reaches it: on its console."""

    name: str
    home: Path
    log: Path
    environment: Mapping[str, str]

    @property
    def passphrase_file(self) -> Path:
        """File with the passphrase of the approval key (a person would type it)."""
        return self.home.parent / f"{self.name}.passphrase"

    def make_passphrase(self) -> Path:
        """Write a fresh passphrase; returns its file."""
        self.home.parent.mkdir(parents=True, exist_ok=True)
        self.passphrase_file.touch(mode=0o600)
        self.passphrase_file.write_text(secrets.token_urlsafe(18))
        return self.passphrase_file

    @cached_property
    def sandbox(self) -> str:
        """The level that holds on this machine; asked once, because the node attacks its own walls to know."""
        return str(self.command("sandbox")["level"])

    def command(self, *words: str) -> Any:
        """Run a console command with `--json`; returns what it printed. Raises NodeCommandError."""
        done = subprocess.run(
            [*_program(), *words, "--json"],
            env={**self.environment, "FEDSTUDY_HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NodeCommandError(words, done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    @property
    def page(self) -> str:
        """Where the node's own page is."""
        return str(self.command("page", "show")["address"])

    def invite(self, name: str, role: str = "site admin") -> str:
        """Print a one-time code with which somebody registers a passkey on the node's page."""
        code = str(self.command("trust", "invite", name, "--role", role)["code"])
        return "-".join(code[start : start + 4] for start in range(0, len(code), 4))

    def run_command(self) -> Command:
        """What starts the agent."""
        return Command(
            name=f"node {self.name}",
            argv=[*_program(), "run"],
            log=self.log,
            # Four agents share a small machine: one thread each is faster than many that wait for one another.
            env={**self.environment, "FEDSTUDY_HOME": str(self.home), "OMP_NUM_THREADS": "1"},
            cwd=self.home,
            stop_timeout_s=8,
        )


def _program() -> list[str]:
    return [str(Path(sys.executable).parent / "fedstudy-node")]


def _last_object(errors: str) -> dict[str, Any]:
    """The JSON object that the console prints last on standard error."""
    for line in reversed(errors.splitlines()):
        if line.startswith("{"):
            return dict(json.loads(line))
    return {}

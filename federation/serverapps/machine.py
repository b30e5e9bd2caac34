"""The sandbox of this machine for ServerApps, tried once in a process, and what one of them may use."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fedstudy_core.errors import Refusal
from fedstudy_core.sandbox.choosing import Sandbox, choose


@dataclass(frozen=True)
class Bounds:
    """What a ServerApp may use.

    Attributes:
        cpu_s: processor time of its whole life.
        silence_s: longest time between two things that it asks for.
        push_bytes: of the messages that it sends at once.
        push_messages: how many messages it sends at once.
        left_bytes: of all that it leaves at its end.
    """

    memory_mb: int = 4096
    cpu_s: int = 24 * 3600
    silence_s: int = 3600
    threads: int = 1
    push_bytes: int = 4 * 1024**3
    push_messages: int = 1_000
    left_bytes: int = 2 * 1024**3


@lru_cache(maxsize=1)
def sandbox_for(home: Path, least: str) -> Sandbox:
    """The strongest sandbox that holds here; `home` is the portal's folder, which no ServerApp may see.

    Raises:
        Refusal: E_SERVER_APP_SANDBOX when it is weaker than the portal's settings ask.
    """
    sandbox = choose(home)
    if not sandbox.report.offers(least):
        detail = (
            f"ServerApps need sandbox {least} here, and this machine has {sandbox.level}. {sandbox.report.next_step()}"
        )
        raise Refusal("E_SERVER_APP_SANDBOX", detail)
    return sandbox

"""Runs of the study: started by the PI, followed until they end, read back as figures."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedstudy_client.transport import Transport

POLL_S, WATCH_S = 0.25, 1.0
DEADLINE_S = 120
FINAL = ("completed", "failed", "stopped")


class RunFailed(Exception):
    """A run of the demo did not complete; the message says what the portal said."""


@dataclass(frozen=True)
class Finished:
    """A completed run: its id, its rounds as the API tells them, and how long it took from start to end (s)."""

    id: str
    rounds: Sequence[Mapping[str, Any]]
    first_round_s: float

    @property
    def last(self) -> Mapping[str, Any]:
        """The last committed round."""
        return self.rounds[-1]

    @property
    def round_durations_s(self) -> list[float]:
        """Seconds of each training round, without the preparation."""
        return [item["duration_ms"] / 1000 for item in self.rounds if item["number"] > 0]

    @property
    def refusals(self) -> int:
        """Messages that some node refused."""
        return sum(answer["state"] == "refused" for item in self.rounds for answer in item["sites"])


def start(session: Transport, study: str, plan: Mapping[str, Any]) -> str:
    """Plan a run and start it; returns its id."""
    run = session.post(f"studies/{study}/runs", {"deadline_s": DEADLINE_S, **plan})
    session.post(f"runs/{run['id']}/start")
    return str(run["id"])


def _pause(committed: int, rounds: int, passed_s: float) -> float:
    """Seconds until the next look: the API has no push for programs, and each look costs what a part of a round does.

    Often until the first round is there and when the last is near, once a second between.
    """
    left_s = (rounds - committed) * passed_s / max(committed, 1)
    return WATCH_S if committed and left_s > 2 * WATCH_S else POLL_S


def follow(session: Transport, run: str, told: Callable[[int], None]) -> Finished:
    """Wait until the run ends; `told` hears how many rounds are committed. Raises RunFailed."""
    began = time.monotonic()
    first = 0.0
    while True:
        now = session.get(f"runs/{run}")
        if now["committed"] and not first:
            first = time.monotonic() - began
        told(int(now["committed"]))
        if now["state"] in FINAL:
            break
        time.sleep(_pause(int(now["committed"]), int(now["rounds"]), time.monotonic() - began))
    if now["state"] != "completed":
        raise RunFailed(f"Run “{now['label']}” {now['state']}: {now['reason_code']} {now['reason']}")
    rounds = [item for item in session.each(f"runs/{run}/rounds") if item["state"] == "committed"]
    return Finished(run, rounds, first)

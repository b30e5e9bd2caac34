"""How long pages take: people who each open one page after another, on a portal with a long history.

The portal is the stack's own (`devstack.stack`), filled by `seed_scale`. Each person signs in, opens a page, reads for
a while, and opens another; everybody goes through all pages of their role.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from typing import Any

import httpx
import psycopg

from bench import machine, pages
from bench.web_pages import Opened, addresses
from devstack import stack
from devstack.processes import Supervisor
from devstack.services import Folders

PASSWORD = "synthetic-people-only"  # noqa: S105 - of synthetic accounts in a database that ends with the measurement
USERS, PAUSE_S, SECONDS = 20, 2.0, 180
PROCESSES = 2  # of the portal, as Compose starts it
BAR_MS = 150
LIMITS = httpx.Limits(keepalive_expiry=3)  # before the portal closes an idle connection, as browsers do
LONG_AGO = timedelta(days=600)
SHAPE = {"studies": 1_000, "sites": 200, "rounds": 100_000, "events": 1_000_000}
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


@dataclass
class Taken:
    """What pages took, in milliseconds, by their names; and what went wrong."""

    times: dict[str, list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add(self, name: str, milliseconds: float) -> None:
        self.times.setdefault(name, []).append(milliseconds)


async def sign_in(client: httpx.AsyncClient, email: str) -> None:
    """Sign in by the page, as people do. Raises RuntimeError."""
    page = await client.get("/sign-in")
    found = TOKEN.search(page.text)
    form = {"csrfmiddlewaretoken": found[1] if found else "", "username": email, "password": PASSWORD}
    answer = await client.post("/sign-in", data=form, headers={"Referer": str(client.base_url)})
    if answer.status_code != 302:
        raise RuntimeError(f"{email} could not sign in: {answer.status_code}")


async def browse(
    client: httpx.AsyncClient, listed: Sequence[Opened], taken: Taken, *, until: float, pause_s: float, seed: int
) -> None:
    """One person at work until a moment of the monotonic clock."""
    chance = random.Random(seed)
    await asyncio.sleep(chance.uniform(0, pause_s))
    while time.monotonic() < until:
        for opened in chance.sample(listed, len(listed)):
            if time.monotonic() >= until:
                return
            began = time.perf_counter()
            answer = await client.get(opened.address)
            if answer.status_code == 200:
                taken.add(opened.name, (time.perf_counter() - began) * 1000)
            else:
                taken.failures.append(f"{opened.name}: {answer.status_code}")
            await asyncio.sleep(chance.expovariate(1 / pause_s) if pause_s else 0)


async def measure(
    url: str, listed: Mapping[str, Sequence[Opened]], *, users: int, pause_s: float, seconds: float
) -> Taken:
    """Everybody at once. The first look at each page, by nobody else at work, is not counted."""
    taken, chosen = Taken(), [list(listed)[number % len(listed)] for number in range(users)]
    clients = [httpx.AsyncClient(base_url=url, timeout=60, limits=LIMITS, trust_env=False) for _ in chosen]
    try:
        for client, email in zip(clients, chosen, strict=True):
            await sign_in(client, email)
        for client, email in list(zip(clients, chosen, strict=True))[: len(listed)]:
            for opened in listed[email]:
                await client.get(opened.address)
        until = time.monotonic() + seconds
        people = [
            browse(client, listed[email], taken, until=until, pause_s=pause_s, seed=number)
            for number, (client, email) in enumerate(zip(clients, chosen, strict=True))
        ]
        await asyncio.gather(*people)
    finally:
        for client in clients:
            await client.aclose()
    return taken


def figures(taken: Taken) -> dict[str, dict[str, float]]:
    """Of each page: how often, median, 95th percentile and longest, in milliseconds; the slowest first."""
    told = {
        name: {
            "times": len(times),
            "p50_ms": round(median(times), 1),
            "p95_ms": round(quantiles([*times, times[0]], n=20, method="inclusive")[-1], 1),
            "max_ms": round(max(times), 1),
        }
        for name, times in taken.times.items()
    }
    return dict(sorted(told.items(), key=lambda item: -item[1]["p95_ms"]))


def run(shape: Mapping[str, int], *, users: int, pause_s: float, seconds: float, url: str) -> dict[str, Any]:
    """Seed a stack of its own and measure it; with a `url`, a portal that was seeded before."""
    before = machine.load()
    with Supervisor() as supervisor:
        if not url:
            url = _seeded(supervisor, shape)
        listed = addresses(url, PASSWORD, f"{datetime.now(UTC) - LONG_AGO:%Y-%m}")
        busy = asyncio.run(measure(url, listed, users=users, pause_s=pause_s, seconds=seconds))
        rushed = asyncio.run(measure(url, listed, users=users, pause_s=0, seconds=seconds / 4))
    told = figures(busy)
    everything = [value for times in busy.times.values() for value in times]
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "shape": dict(shape),
        "users": users,
        "pause_s": pause_s,
        "seconds": seconds,
        "machine": machine.describe() | {"load": {"before": before, "after": machine.load()}},
        "pages": told,
        "pages_a_second": round(len(everything) / seconds, 1),
        "most_pages_a_second": round(sum(map(len, rushed.times.values())) / (seconds / 4), 1),
        "failures": sorted(set(busy.failures + rushed.failures)),
        "bar_ms": BAR_MS,
        "over_the_bar": [name for name, page in told.items() if page["p95_ms"] > BAR_MS],
    }


def _seeded(supervisor: Supervisor, shape: Mapping[str, int]) -> str:
    """The address of a stack of its own, filled."""
    running = stack.start(supervisor, Folders.throwaway(), profile="demo", port=None, portal_processes=PROCESSES)
    print("Filling it (some minutes)", file=sys.stderr, flush=True)
    sizes = [word for name, count in shape.items() for word in (f"--{name}", str(count))]
    running.manage_as_owner("seed_scale", "--yes", "--password", PASSWORD, *sizes)
    with psycopg.connect(running.services.postgres.superuser_url, autocommit=True) as database:
        while database.execute("SELECT 1 FROM audit_queue LIMIT 1").fetchone():  # the sequencer is busy with them
            time.sleep(1)
        # what was just loaded is vacuumed and written out in the next minutes; a history of years was long ago
        database.execute("VACUUM (ANALYZE)")
        database.execute("CHECKPOINT")
    return running.portal_url


def as_markdown(result: Mapping[str, Any]) -> str:
    """The result as a page of Markdown."""
    host, shape = result["machine"], result["shape"]
    rows = "\n".join(
        f"| {name} | {page['times']} | {page['p50_ms']:.0f} | {page['p95_ms']:.0f} | {page['max_ms']:.0f} |"
        for name, page in result["pages"].items()
    )
    over = result["over_the_bar"]
    verdict = f"missed by: {', '.join(over)}" if over else "met by every page"
    if host["load"]["before"] > host["cores"]:  # of others: what is at work afterwards is the measurement
        verdict = "not decided, because more processes than cores were at work: measure again on an idle machine"
    sizes = ", ".join(f"{count:,} {name}" for name, count in shape.items())
    return f"""# How long pages take

A portal of {sizes}: {PROCESSES} processes of the portal, as Compose starts it,
beside PostgreSQL, Valkey, the SuperLink and a worker, and the people who are played here, on {host["cores"]} cores.
{result["users"]} people with sessions of their own open pages for {result["seconds"]:g} s,
with {result["pause_s"]:g} s between two of them on average (exponential): {result["pages_a_second"]} pages a second.
{result["measured_at"]}; {host["memory_gb"]} GB, {host["system"]}.
Processes wanting a core: {host["load"]["before"]} before, {host["load"]["after"]} after.

The bar is {result["bar_ms"]} ms for the 95th percentile of each page: {verdict}.
Without any pause, {result["most_pages_a_second"]} pages a second are answered.
Answers that were no page: {", ".join(result["failures"]) or "none"}.

| page | times | median, ms | p95, ms | longest, ms |
|---|---|---|---|---|
{rows}
"""


def main() -> int:
    """Measure, write into bench/results, and print the page; 1 when a page failed."""
    parser = argparse.ArgumentParser(prog="make bench-pages", description=__doc__)
    for name, count in SHAPE.items():
        parser.add_argument(f"--{name}", type=int, default=count, help="in the portal (%(default)s)")
    parser.add_argument("--users", type=int, default=USERS, help="people at once (%(default)s)")
    parser.add_argument("--pause", type=float, default=PAUSE_S, help="seconds between pages, on average (%(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long they work (%(default)s)")
    parser.add_argument("--url", default="", help="a portal that is there, seeded with this password: " + PASSWORD)
    parser.add_argument("--name", default="pages", help="of the files in bench/results (%(default)s)")
    given = parser.parse_args()
    shape = {name: getattr(given, name) for name in SHAPE}
    result = run(shape, users=given.users, pause_s=given.pause, seconds=given.seconds, url=given.url)
    data, text = pages.write(result, given.name, page=as_markdown(result))
    print(text.read_text("utf-8"))
    print(f"written: {data} and {text}")
    return int(bool(result["failures"]))


if __name__ == "__main__":
    sys.exit(main())

"""Faults of the network between a node and the centre, made at doors that its connections lead through."""

from __future__ import annotations

import time

from tests.faults.catalogue import fault
from tests.faults.proxy import FAIR, Weather
from tests.faults.theatre import Missed, Theatre, until


def _weathered(theatre: Theatre, weather: Weather, seconds: float, *, rounds: int = 12) -> str:
    """A run of all four sites with some seconds of bad weather in it; the node must be back 30 s after."""
    with theatre.behind_doors() as set_weather:
        run = theatre.begin(rounds)
        theatre.reach(run, 2)
        set_weather(weather)
        time.sleep(seconds)
        during = theatre.committed(run)
        set_weather(FAIR)
        took = theatre.reach(run, min(during + 1, rounds), within=30)
        theatre.finish(run)
    return f"{seconds:g} s of it; {during} of {rounds} rounds by its end, the next {took:.1f} s after"


@fault("R13-cut", "all packets of a node lost", expected="takes part within 30 s of the end", short=True)
def cut_off(theatre: Theatre, short: bool) -> str:
    return _weathered(theatre, Weather(up=False, down=False), 10 if short else 25)


@fault("R13-deaf", "packets to a node lost, packets from it not", expected="takes part within 30 s of the end")
def deaf(theatre: Theatre, short: bool) -> str:
    return _weathered(theatre, Weather(down=False), 20)


@fault("R13-mute", "packets from a node lost, packets to it not", expected="takes part within 30 s of the end")
def mute(theatre: Theatre, short: bool) -> str:
    return _weathered(theatre, Weather(up=False), 20)


@fault("R13-reset", "every connection of a node reset", expected="takes part within 30 s of the end", short=True)
def reset(theatre: Theatre, short: bool) -> str:
    return _weathered(theatre, Weather(reset=True), 5 if short else 20)


@fault("R13-loss", "a fifth of the packets late, as if sent again", expected="the run goes on, and is completed")
def lossy(theatre: Theatre, short: bool) -> str:
    return _weathered(theatre, Weather(loss=0.2), 15)


@fault("R13-slow", "a line of 256 kbit a second", expected="the run goes on, and is completed")
def slow(theatre: Theatre, short: bool) -> str:
    return _weathered(theatre, Weather(rate=256_000 // 8), 15)


@fault("R14", "line up for 5 s and down for 5 s", expected="at most one new connection a second; completed")
def flapping(theatre: Theatre, short: bool) -> str:
    seconds = 20 if short else 40
    with theatre.behind_doors() as set_weather:
        run = theatre.begin(len(theatre.undisturbed) - 1)
        theatre.reach(run, 1)
        doors, begun = set_weather(FAIR), time.monotonic()
        while time.monotonic() - begun < seconds:
            set_weather(Weather(reset=True))
            time.sleep(5)
            set_weather(FAIR)
            time.sleep(5)
        knocks = sum(moment >= begun for door in doors[:1] for moment in door.arrivals)
        rounds = theatre.committed(run)
        theatre.next_commit(run, within=30)
        theatre.stop(run)
    if knocks > seconds:
        raise Missed(f"{knocks} connections to the SuperLink in {seconds} s")
    return f"{seconds} s of it; {knocks / seconds:.2f} connections to the SuperLink a second; {rounds} rounds meanwhile"


@fault(
    "R16-wire",
    "bits flipped on the wire",
    expected="TLS notices each; nothing wrong is taken; the run goes on",
    short=True,
)
def flipped(theatre: Theatre, short: bool) -> str:
    with theatre.behind_doors() as set_weather:
        run = theatre.begin(12)
        theatre.reach(run, 2)
        set_weather(Weather(flip=True))
        until(30, "the agent notices", lambda: theatre.status()["fleet"] == "disconnected")
        time.sleep(2)
        set_weather(FAIR)
        took = theatre.next_commit(run, within=30)
        theatre.finish(run)
    return f"the agent noticed; the next round {took:.1f} s after; completed as undisturbed"

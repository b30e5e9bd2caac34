"""Faults of the central side: portal, SuperLink, worker, Redis, PostgreSQL, and what is delivered twice."""

from __future__ import annotations

import signal
import threading
import time

import httpx
import redis

from fedstudy_client.problem import FedStudyProblem
from tests.faults.catalogue import fault
from tests.faults.theatre import Missed, Theatre, until

MOST_ROUNDS = 500


@fault(
    "R4", "portal killed while people read", expected="back within 15 s; the run goes on; nothing is lost", short=True
)
def portal_killed(theatre: Theatre, short: bool) -> str:
    run = theatre.begin(20)
    theatre.reach(run, 2)
    stop = threading.Event()
    answers: list[int] = []

    def read() -> None:
        while not stop.wait(0.02):
            try:
                answers.append(httpx.get(f"{theatre.stage.stack.portal_url}/login", timeout=5).status_code)
            except httpx.TransportError:
                answers.append(0)

    reader = threading.Thread(target=read)
    reader.start()
    begun = time.monotonic()
    theatre.kill("portal")
    theatre.start("portal")
    back = time.monotonic() - begun
    theatre.finish(run)
    stop.set()
    reader.join()
    broken = sum(answer >= 500 for answer in answers)
    if back > 15 or broken > len(answers) / 100:
        raise Missed(f"back after {back:.1f} s, {broken} of {len(answers)} answers broken")
    return f"back after {back:.1f} s; {broken} of {len(answers)} answers were 5xx; the run was completed"


@fault("R5", "SuperLink killed in a round", expected="a new attempt commits within 60 s; no round lost", short=True)
def superlink_killed(theatre: Theatre, short: bool) -> str:
    run = theatre.begin(20 if short else 40)
    took = []
    for turn in range(1 if short else 3):
        theatre.reach(run, 3 + 5 * turn)
        theatre.kill("SuperLink")
        begun = time.monotonic()
        theatre.start("SuperLink")
        theatre.next_commit(run, within=60)
        took.append(time.monotonic() - begun)
    theatre.finish(run)
    attempts = theatre.run(run).get("attempts")
    return f"committed again after {', '.join(f'{one:.1f}' for one in took)} s" + (
        f"; {len(attempts)} attempts" if attempts else ""
    )


@fault(
    "R6", "worker killed in a round", expected="another takes over within 45 s; no round lost, none twice", short=True
)
def worker_killed(theatre: Theatre, short: bool) -> str:
    run = theatre.begin(20)
    theatre.reach(run, 3)
    theatre.kill("worker")
    begun = time.monotonic()
    theatre.start("worker")
    theatre.next_commit(run, within=45)
    took = time.monotonic() - begun
    theatre.finish(run)
    return f"committed again after {took:.1f} s"


@fault("R6-stages", "worker killed before, in and after every write", expected="no round lost, none twice", short=True)
def worker_killed_at_every_stage(theatre: Theatre, short: bool) -> str:
    with theatre.without_worker():
        run = theatre.begin(MOST_ROUNDS)
        told = theatre.driver("stages", run)
    theatre.next_commit(run, within=60)
    theatre.stop(run)
    if len(told["died"]) < 15:
        raise Missed(f"only {len(told['died'])} places came up: {told}")
    return f"died at {len(told['died'])} places; not met in this run: {', '.join(told['never'])}"


@fault("R6-1000", "worker killed at random, 1,000 times", expected="no round lost, none twice, no wrong sum")
def worker_killed_a_thousand_times(theatre: Theatre, short: bool) -> str:
    return _killed_at_random(theatre, 1000)


@fault("R6-50", "worker killed at random, 50 times", expected="no round lost, none twice, no wrong sum", short=True)
def worker_killed_fifty_times(theatre: Theatre, short: bool) -> str:
    return _killed_at_random(theatre, 50) if short else "part of R6-1000"


def _killed_at_random(theatre: Theatre, times: int) -> str:
    """A driver lives for as long as a round takes on average: most die early in it, some after several."""
    killed = crashed = 0
    while killed < times:
        with theatre.without_worker():
            run = theatre.begin(MOST_ROUNDS, deadline_s=600)
            words = ("--times", str(times - killed), "--seed", str(killed), "--mean", f"{theatre.round_s:.3f}")
            told = theatre.driver("random", run, *words)
            killed, crashed = killed + told["killed"], crashed + told["crashed"]
        if crashed:
            raise Missed(f"a driver ended by itself {crashed} times")
    theatre.next_commit(run, within=60)
    rounds = sum(theatre.committed(run) for run in theatre.runs)
    return f"{killed} kills in {rounds} rounds"


@fault("R7-flush", "Redis emptied again and again", expected="driven again within 30 s each time", short=True)
def redis_flushed(theatre: Theatre, short: bool) -> str:
    run = theatre.begin(40)
    slowest = 0.0
    with redis.Redis(unix_socket_path=str(theatre.stage.stack.services.valkey.socket)) as server:
        for turn in range(2 if short else 6):
            theatre.reach(run, 2 + 3 * turn)
            server.flushall()
            slowest = max(slowest, theatre.next_commit(run, within=30))
    theatre.finish(run)
    return f"committed again after {slowest:.1f} s at most"


@fault("R7-down", "Redis down", expected="pages answer; driven again within 30 s of its return", short=True)
def redis_down(theatre: Theatre, short: bool) -> str:
    run = theatre.begin(MOST_ROUNDS)
    theatre.reach(run, 3)
    theatre.kill("Valkey")
    begun, away = time.monotonic(), 10 if short else 35
    read = 0
    while time.monotonic() - begun < away:
        theatre.stage.run(run)
        read += 1
        time.sleep(0.5)
    theatre.start("Valkey")
    took = theatre.next_commit(run, within=30)
    theatre.stop(run)
    return f"{read} readings while away for {away} s; committed again after {took:.1f} s"


@fault(
    "R8",
    "PostgreSQL restarted at once, again and again",
    expected="back within 30 s; nothing committed is lost",
    short=True,
)
def postgres_restarted(theatre: Theatre, short: bool) -> str:
    run = theatre.begin(len(theatre.undisturbed) - 1)
    theatre.reach(run, 2)
    times, slowest = 3 if short else 20, 0.0
    for _ in range(times):
        before = theatre.checker.models(run)
        theatre.kill("PostgreSQL", signal.SIGQUIT)
        begun = time.monotonic()
        theatre.start("PostgreSQL")
        after = theatre.checker.models(run)
        if any(after.get(number) != sha256 for number, sha256 in before.items()):
            raise Missed("a committed round is gone")
        theatre.reach(run, max(after) + 1, within=30)
        slowest = max(slowest, time.monotonic() - begun)
        if theatre.run(run)["state"] == "completed":
            run = theatre.begin(len(theatre.undisturbed) - 1)
            theatre.reach(run, 2)
    theatre.finish(run)
    return f"{times} restarts; committed again after {slowest:.1f} s at most"


@fault("R11-tasks", "the same task delivered 50 times", expected="one worker drives; no round twice", short=True)
def tasks_delivered_again(theatre: Theatre, short: bool) -> str:
    run = theatre.begin(20)
    theatre.reach(run, 2)
    theatre.driver("tasks", run, "--times", "50")
    theatre.finish(run)
    return "completed as undisturbed"


@fault("R11-messages", "every message delivered three times", expected="each is worked on once", short=True)
def messages_delivered_again(theatre: Theatre, short: bool) -> str:
    with theatre.without_worker():
        run = theatre.begin(8)
        told = theatre.driver("thrice", run)
    theatre.finish(run)
    return f"{told['messages']} messages; completed as undisturbed"


@fault("R11-requests", "a start asked for three times", expected="one start; the others are refused (409)", short=True)
def requests_repeated(theatre: Theatre, short: bool) -> str:
    run = theatre.begin(2)
    refused = []
    for _ in range(2):
        try:
            theatre.stage.investigator.post(f"runs/{run}/start")
        except FedStudyProblem as error:
            refused.append(error.code)
    theatre.finish(run)
    began = [event for event in theatre.stage.events(run) if event["action"] == "runs:run:queued"]
    if len(began) != 1 or len(refused) != 2:
        raise Missed(f"started {len(began)} times, refused {refused}")
    return f"started once; the others {refused[0]}"


@fault("R-stop", "a run is stopped", expected="the children at the sites end within 10 s", short=True)
def run_stopped(theatre: Theatre, short: bool) -> str:
    run = theatre.begin(400)
    theatre.reach(run, 2)
    nodes = [hospital.node for hospital in theatre.stage.cast.hospitals]
    working = [process for node in nodes for process in theatre.stage.scripts(node)]
    if not working:
        raise Missed("no script worked")
    theatre.stop(run)
    took = until(10, "the scripts have ended", lambda: not any(process.is_running() for process in working))
    return f"{len(working)} processes ended within {took:.1f} s"


@fault(
    "M4",
    "SuperLink, worker, Redis and a node die in one run",
    expected="its model is the undisturbed one's",
    short=True,
)
def everything_dies(theatre: Theatre, short: bool) -> str:
    run = theatre.begin(25)
    took = []
    for turn, name in enumerate(("SuperLink", "worker", "Valkey", theatre.agent)):
        theatre.reach(run, 3 + 4 * turn)
        begun = time.monotonic()
        theatre.kill(name)
        theatre.start(name)
        theatre.next_commit(run, within=60)
        took.append(f"{name} {time.monotonic() - begun:.1f}")
    theatre.finish(run)
    away = theatre.checker.distance(theatre.checker.models(run)[25], theatre.undisturbed[25])
    return f"went on after {', '.join(took)} s; {away:g} away from the undisturbed model"

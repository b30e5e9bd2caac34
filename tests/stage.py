"""The whole stack with a study that is ready for runs, as end-to-end and fault tests use it."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from rich.console import Console

from devstack import stack as stacks
from devstack.demo import runs, story
from devstack.demo.cast import Cast, Person, make_cast
from devstack.demo.story import Prepared
from devstack.demo.telling import Telling
from devstack.processes import Supervisor
from devstack.services import Folders
from devstack.stack import Stack
from federation.library.heart_disease.source import write_centres
from fedstudy_core.sandbox.forking import MODULE as FORK_SERVER

PATIENCE_S = 90.0
Json = dict[str, Any]


class Browser(httpx.Client):
    """What a person does on pages, without a screen."""

    def sign_in(self, person: Person) -> None:
        """Begin a session through the page."""
        form = self.get("/sign-in").text
        login = next(name for name in ("username", "email") if f'name="{name}"' in form)
        answer = self.fill_in("/sign-in", "/sign-in", {login: person.email, "password": person.password})
        assert answer.status_code == 302, answer.text

    def fill_in(self, page: str, action: str, fields: Mapping[str, str]) -> httpx.Response:
        """Send a form of a page."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(page).text)
        assert token is not None
        own = str(self.base_url).rstrip("/")
        headers = {"Referer": f"{own}{page}", "Origin": own}
        return self.post(action, data={"csrfmiddlewaretoken": token[1], **fields}, headers=headers)


@dataclass(frozen=True)
class Stage:
    """Portal, worker, SuperLink and four agents of a study that may run."""

    stack: Stack
    cast: Cast
    prepared: Prepared
    rows: Mapping[str, Path]

    @property
    def investigator(self) -> Any:
        """The PI's connection to the portal."""
        return self.prepared.sessions.of(self.cast.investigator)

    def start_run(self, **plan: Any) -> str:
        """Plan and start a run as the PI; returns its id."""
        standard = {"version": self.prepared.version, "strategy": "fedavg", "rounds": 3}
        return runs.start(self.investigator, self.prepared.study, standard | plan)

    def run(self, run: str) -> Json:
        """The run as the API tells it."""
        return dict(self.investigator.get(f"runs/{run}"))

    def rounds(self, run: str) -> list[Json]:
        """The run's rounds."""
        return list(self.investigator.each(f"runs/{run}/rounds"))

    def events(self, run: str) -> list[Json]:
        """The run's audit events."""
        return list(self.investigator.each(f"runs/{run}/events"))

    def wait_for(self, run: str, condition: Callable[[Json], bool]) -> Json:
        """The run once the condition holds; fails after PATIENCE_S."""
        now: Json = {}
        for _ in looks():
            now = self.run(run)
            if condition(now):
                return now
            assert now["state"] not in runs.FINAL, now
        raise AssertionError(now)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; fails after PATIENCE_S."""
        assert any(condition() for _ in looks())

    def wait_for_end(self, run: str) -> Json:
        """The run once it is over."""
        return self.wait_for(run, lambda now: now["state"] in runs.FINAL)

    def kill_agent(self, name: str) -> None:
        """End a node's agent and its script process by SIGKILL, as a power cut would."""
        child = self.stack.supervisor.child(f"node {name}")
        family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
        for process in family:
            with suppress(ProcessLookupError):  # a script's process ends with the one that it was forked from
                os.kill(process.pid, signal.SIGKILL)
        child.kill()

    def scripts(self, name: str) -> list[psutil.Process]:
        """The processes in which a node's scripts run: those that keepers forked from its fork server, and theirs."""
        child = self.stack.supervisor.child(f"node {name}")
        if not child.running:
            return []
        agent = psutil.Process(child.pid)
        keepers = [keeper for server in _children(agent) if _is_fork_server(server) for keeper in _children(server)]
        return [process for keeper in keepers for process in _children(keeper, recursive=True)]

    def restart_agent(self, name: str) -> None:
        """Start the agent again, as the hospital's service manager would."""
        self.stack.supervisor.restart(f"node {name}")

    @contextmanager
    def browser(self, person: Person) -> Iterator[Browser]:
        """A person's session on the pages."""
        with Browser(base_url=self.stack.portal_url, trust_env=False, timeout=30) as browser:
            browser.sign_in(person)
            yield browser

    @contextmanager
    def tampered_database(self) -> Iterator[psycopg.Connection[Any]]:
        """The portal's database in the hands of somebody whom no trigger stops."""
        with psycopg.connect(self.stack.services.postgres.superuser_url) as connection:
            connection.execute("SET session_replication_role = replica")
            yield connection


def _children(process: psutil.Process, *, recursive: bool = False) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):  # it may end while one looks
        return process.children(recursive=recursive)
    return []


def _is_fork_server(process: psutil.Process) -> bool:
    with suppress(psutil.Error):  # one that has ended has no command line
        return FORK_SERVER in process.cmdline()
    return False


def looks() -> Iterator[None]:
    """Moments at which to look whether something came about, for PATIENCE_S: rarer the longer it takes, because looking
    takes from the processor that it waits for."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < PATIENCE_S:
        yield
        time.sleep(min(max(waited / 10, 0.05), 0.25))


def centres(participations: list[Mapping[str, Any]]) -> set[str]:
    """The sites that some participations are of."""
    return {str(item["site"]) for item in participations}


@contextmanager
def set_up_stage(write: Callable[[Path], dict[str, Path]] = write_centres) -> Iterator[Stage]:
    """Start everything and prepare the demo's study; stop everything at the end. `write` writes each centre's file."""
    folders = Folders.throwaway()
    cast = make_cast()
    with Supervisor() as supervisor, Telling(Console(quiet=True), 1) as tell:
        stack = stacks.start(supervisor, folders, profile="demo", port=None)
        rows = write(folders.state / "hospitals")
        prepared = story.prepare(stack, cast, rows, tell)
        try:
            yield Stage(stack, cast, prepared, rows)
        finally:
            prepared.sessions.close()

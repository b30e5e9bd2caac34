"""The demo's hospitals stay at their desks: they answer what a visitor's own studies ask of them.

They accept invitations, offer their rows where these fit the study's data dictionary, and sign submitted scripts at
their own nodes. In the demo's own study they do nothing more: what waits there is for the visitor to sign.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from devstack.demo import people
from devstack.demo.cast import Cast, Hospital
from devstack.demo.story import Prepared
from devstack.nodes import NodeCommandError
from devstack.stack import Stack
from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.transport import Transport

LOOK_S = 2.0


class Hospitals:
    """Answers for all hospitals of the demo, each at its own console.

    Args:
        rows: each centre's file.
        say: told what a hospital did, or why it could not.
    """

    def __init__(
        self, stack: Stack, cast: Cast, prepared: Prepared, rows: Mapping[str, Path], say: Callable[[str], None]
    ) -> None:
        self._stack, self._cast, self._prepared, self._rows, self._say = stack, cast, prepared, rows, say
        self._tried: set[tuple[str, str]] = set()

    @contextmanager
    def at_their_desks(self) -> Iterator[None]:
        """Look for what is asked, every `LOOK_S` seconds, until the end of the block."""
        stop = threading.Event()
        thread = threading.Thread(target=self._work, args=(stop,), name="hospitals", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _work(self, stop: threading.Event) -> None:
        with ThreadPoolExecutor(max_workers=len(self._cast.hospitals)) as desks:
            while not stop.wait(LOOK_S):
                list(desks.map(self._look, self._cast.hospitals))

    def _look(self, hospital: Hospital) -> None:
        """Answer what waits for one hospital. What cannot be answered is told once, and tried again when it changed."""
        session, site = self._prepared.sessions.of(hospital.admin), self._prepared.sites[hospital.centre]
        try:
            for enrolment in list(session.each("enrolments")):
                if enrolment["site"]["id"] == site and enrolment["study"]["id"] != self._prepared.study:
                    self._answer(hospital, session, enrolment)
        except FedStudyProblem as problem:
            self._say(f"{hospital.centre}: {problem}")

    def _answer(self, hospital: Hospital, session: Transport, enrolment: Mapping[str, Any]) -> None:
        if enrolment["state"] == "invited":
            session.post(f"enrolments/{enrolment['id']}/accept")
            self._say(f"{hospital.centre} takes part in “{enrolment['study']['name']}”.")
        elif enrolment["state"] == "accepted":
            self._offer(hospital, session, enrolment)
        elif enrolment["state"] == "ready":
            self._sign(hospital, session, enrolment)

    def _offer(self, hospital: Hospital, session: Transport, enrolment: Mapping[str, Any]) -> None:
        study, rows = enrolment["study"]["id"], self._rows[hospital.centre]
        try:
            dictionary = session.get(f"studies/{study}/dictionary")["id"]
        except FedStudyProblem as problem:
            if problem.code != "E_NOT_FOUND":  # the study has none yet
                raise
            return
        self._once(hospital, dictionary, lambda: people.offer_dataset(self._stack, hospital, study, rows))

    def _sign(self, hospital: Hospital, session: Transport, enrolment: Mapping[str, Any]) -> None:
        for script in session.each(f"studies/{enrolment['study']['id']}/scripts"):
            for version in session.each(f"scripts/{script['id']}/versions"):
                if version["state"] == "submitted":
                    asked = (self._stack, hospital, version["id"], enrolment["dataset"])
                    self._once(hospital, version["id"], partial(people.approve_script, *asked))

    def _once(self, hospital: Hospital, what: str, act: Callable[[], object]) -> None:
        """Do something at a node's console unless it was tried before."""
        if (hospital.centre, what) in self._tried:
            return
        self._tried.add((hospital.centre, what))
        try:
            act()
        except NodeCommandError as error:
            self._say(f"{hospital.centre}: {error}")

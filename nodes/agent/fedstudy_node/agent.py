"""The agent's main loop: ask the SuperLink for messages, let scripts work, send what they made.

One thread, which waits for the scripts' pipes and for the next thing due. A lost connection is taken up again for ever;
scripts go on meanwhile and their replies wait. The portal is told about the node by a thread of its own (`heartbeats`).
"""

import secrets
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable

import structlog

from fedstudy_node.bell import Bell
from fedstudy_node.desk import Desk
from fedstudy_node.errors import (
    AnswerLost,
    ContentLost,
    FleetError,
    KeyRefused,
    NotRegistered,
    NotTaken,
    RunEnded,
    TooLarge,
)
from fedstudy_node.flower import Fleet, Incoming, Outgoing
from fedstudy_node.home import Home
from fedstudy_node.pace import Pace
from fedstudy_node.runs import ActiveRun, Runs
from fedstudy_node.status import Status

log = structlog.get_logger()

RUN_CHECK = 4.0
IDLE_CHILD = 1800.0
MOST_AT_WORK = 4
FIRST_RETRY = 0.5
LONGEST_RETRY = 10.0

_HINTS: dict[type[FleetError], str] = {
    KeyRefused: ". Is this machine's clock right to 5 seconds, and is the node still confirmed in the portal?",
    NotRegistered: ". The site's admin confirms the node in the portal; after a crash this takes up to 30 seconds.",
}


class Agent:
    """Serves one node's messages until `stop` is set. The bell tells it that a message waits, or that it shall stop."""

    def __init__(
        self,
        home: Home,
        *,
        fleet: Fleet,
        runs: Runs,
        desk: Desk,
        status: Status,
        stop: threading.Event,
        wake: threading.Event,
        bell: Bell | None = None,
        begin_anew: Callable[[], None] = lambda: None,
    ) -> None:
        """`begin_anew` has the portal know that messages which were sent to this node so far may be lost."""
        self._home = home
        self._fleet = fleet
        self.runs = runs
        self._desk = desk
        self._status = status
        self._stop = stop
        self._wake = wake
        self._bell = bell or Bell()
        self._begin_anew = begin_anew
        self._lost_some = False
        self._key_stamp = home.key_stamp()
        self._pace = Pace()
        self._inbox: deque[Incoming] = deque()
        self._outbox: deque[Outgoing] = deque()
        self._not_taken: deque[Outgoing] = deque()
        self._connected = False
        self._retry = FIRST_RETRY
        self._retry_at = 0.0
        self._poll_at = 0.0
        self._give_again_at = 0.0

    def run(self) -> None:
        """Serve until told to stop; then end the scripts and say good-bye."""
        try:
            while not self._stop.is_set():
                self.step()
        finally:
            self.runs.end_all()
            self._fleet.close()

    def step(self) -> None:
        """Do what is due, then wait until something else is."""
        if self._home.key_stamp() != self._key_stamp:
            self._take_new_keys()
        self._guarded(self._exchange if self._connected else self._connect)
        self._outbox.extend(self._desk.stop_overdue())
        self._outbox.extend(self._desk.stop_halted())
        if self._connected:
            self.runs.preload()
        self._wait_for_scripts(self._until_due())

    def _take_new_keys(self) -> None:
        """Go on under the keys that replaced the old ones. What came under the old ones the portal sends again."""
        self._key_stamp = self._home.key_stamp()
        self._desk.rekey()
        self._fleet.rekey(self._home.flower_key())
        self._home.remember_flower_node(0)
        self._inbox.clear()
        self._outbox.clear()
        self._not_taken.clear()
        self._connected, self._retry, self._retry_at = False, FIRST_RETRY, 0.0
        log.info("keys_changed")

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except FleetError as error:
            self._disconnected(error)

    def _connect(self) -> None:
        if time.monotonic() < self._retry_at and not self._wake.is_set():
            return
        self._wake.clear()
        node_id = self._fleet.activate(self._fleet.node_id or self._home.remembered_flower_node())
        self._home.remember_flower_node(node_id)
        self._connected = True
        if self._lost_some:
            self._begin_anew()
            self._lost_some = False
        self._retry = FIRST_RETRY
        self._pace.mark_sent()
        self._status.set(fleet="connected", flower_node=str(node_id), fleet_error="")
        log.info("connected", flower_node=str(node_id))

    def _disconnected(self, error: FleetError) -> None:
        """Note a lost connection; come back after a while that grows, with jitter."""
        state = "not registered" if isinstance(error, NotRegistered) else "disconnected"
        if self._connected or not str(self._status.get("fleet_error")).startswith(str(error)):
            log.warning(state.replace(" ", "_"), error=str(error), kind=type(error).__name__)
        self._connected = False
        self._retry_at = time.monotonic() + self._retry * (0.5 + secrets.randbelow(1000) / 1000)
        self._retry = min(self._retry * 1.7, LONGEST_RETRY)
        self._status.set(fleet=state, fleet_error=f"{error}{_HINTS.get(type(error), '')}")

    def _exchange(self) -> None:
        """Talk to the SuperLink: replies first, then what it has for us."""
        self._send_replies()
        self._take_in()
        self._fleet.heartbeat_if_due()
        self._check_runs()
        if time.monotonic() >= self._poll_at and self._at_work() < MOST_AT_WORK:
            self._poll()

    def _send_replies(self) -> None:
        """Send what waits. What the portal does not take now waits by itself: other runs' replies go on."""
        if time.monotonic() >= self._give_again_at:
            self._outbox.extend(self._not_taken)
            self._not_taken.clear()
        while self._outbox:
            try:
                self._fleet.send(self._outbox[0])
                self._note_alive(self._outbox[0].run_id)
            except RunEnded as error:
                log.info("reply_not_wanted", error=str(error))
            except TooLarge as error:
                log.warning("reply_too_large", error=str(error))
                self._outbox[0] = self._desk.take_back(self._outbox[0])
                continue
            except NotTaken as error:
                log.warning("reply_not_taken", error=str(error))
                self._not_taken.append(self._outbox[0])
                self._give_again_at = time.monotonic() + LONGEST_RETRY
            self._outbox.popleft()
            self._pace.mark_sent()
            self._poll_at = time.monotonic() + self._pause()

    def _poll(self) -> None:
        """Ask for one message. Where several runs are at work another may wait behind it: two rings can be one."""
        try:
            incoming = self._fleet.pull()
        except AnswerLost:
            self._lost_some = True
            raise
        except (RunEnded, ContentLost) as error:
            log.warning("message_dropped", error=str(error))
            incoming = None
        if incoming is not None:
            self._pace.mark_received()
            self._inbox.append(incoming)
        self._take_in()
        more = incoming is not None and len(self.runs) > 1
        self._poll_at = time.monotonic() + (0.0 if more else self._pause())

    def _pause(self) -> float:
        """Seconds until the next question, unless the bell rings before."""
        return self._pace.delay(in_run=len(self.runs) > 0, woken=self._bell.answered)

    def _take_in(self) -> None:
        """Have what was pulled answered. The SuperLink hands a message out once: it stays here until it is taken."""
        while self._inbox:
            incoming = self._inbox[0]
            try:
                answer = self._desk.take(incoming)
            except (RunEnded, ContentLost) as error:
                log.warning("message_dropped", error=str(error))
                answer = None
            self._inbox.popleft()
            if answer is not None:
                self._outbox.append(answer)
            self._send_replies()
            self._status.set(runs=[str(run.info.run_id) for run in self.runs])

    def _note_alive(self, run_id: int) -> None:
        """Note that the SuperLink took a reply: it takes none of a run that is over."""
        for run in self.runs:
            if run.info.run_id == run_id:
                run.checked_at = time.monotonic()

    def _check_runs(self) -> None:
        """End the scripts of runs that are over at the SuperLink; it is asked about those that it took no reply of."""
        for run in self.runs:
            if time.monotonic() - run.checked_at < RUN_CHECK:
                continue
            run.checked_at = time.monotonic()
            try:
                self._fleet.get_run(run.info.run_id)
            except RunEnded:
                self._end(run)
                continue
            if run.job is None and time.monotonic() - run.used_at > IDLE_CHILD:
                self.runs.stop_child(run)

    def _end(self, run: ActiveRun) -> None:
        log.info("run_ended", flower_run=str(run.info.run_id))
        self.runs.end(run)
        self._status.set(runs=[str(left.info.run_id) for left in self.runs])

    def _at_work(self) -> int:
        return sum(run.job is not None for run in self.runs)

    def _until_due(self) -> float:
        """Seconds until the next thing is due."""
        if self._stop.is_set() or (self._connected and self._outbox):
            return 0.0
        due = self._poll_at if self._connected else self._retry_at
        longest = 0.25 if self._at_work() or not self._connected else 1.0
        return min(max(due - time.monotonic(), 0.0), longest)

    def _wait_for_scripts(self, seconds: float) -> None:
        """Wait for what scripts say, and feed them what did not fit into their pipes yet."""
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._bell.fd, selectors.EVENT_READ)
            for run in self.runs:
                if run.child is not None:
                    waiting.register(run.child.readable, selectors.EVENT_READ, run)
                    if not run.child.flush():
                        waiting.register(run.child.writable, selectors.EVENT_WRITE, run)
            ready = waiting.select(seconds)
        for key, events in ready:
            if key.fd == self._bell.fd:
                self._bell.hear()
                self._poll_at = 0.0
            elif events & selectors.EVENT_READ:
                self._hear(key.data)

    def _hear(self, run: ActiveRun) -> None:
        """Queue the answers of a script, each as soon as it is there; a message that waits for the SuperLink stays."""
        try:
            self._outbox.extend(self._desk.hear(run))
        except FleetError as error:
            self._disconnected(error)

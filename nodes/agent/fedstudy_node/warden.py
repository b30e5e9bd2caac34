"""The thread that ends scripts when the site's people, or the portal, say so.

The agent's main loop may be waiting for the SuperLink, which somebody else runs. A pause, a veto or a revocation must
not wait with it: this thread asks nobody but the node's own files. It ends processes and tells the others that
something changed; the answers are the main loop's.
"""

import threading
from collections.abc import Callable

import structlog

from fedstudy_node.control import Control
from fedstudy_node.runs import Runs

log = structlog.get_logger()

INTERVAL = 0.25


class Warden(threading.Thread):
    """Looks at the control several times a second, until `stop` is set; `changed` is called after each change."""

    def __init__(self, control: Control, runs: Runs, *, stop: threading.Event, changed: Callable[[], None]) -> None:
        super().__init__(name="warden", daemon=True)
        self._control = control
        self._runs = runs
        self._stop_asked = stop
        self._changed = changed

    def run(self) -> None:
        """Watch until told to stop."""
        seen = self._control.state()
        while not self._stop_asked.wait(INTERVAL):
            state = self._control.state()
            if state != seen:
                seen = state
                log.info("control_changed", paused=state.paused is not None, vetoes=len(state.vetoes))
                self._changed()
            self.end_halted()
        self._changed()

    def end_halted(self) -> None:
        """End every process whose run may not go on."""
        for run in self._runs:
            child = run.child
            if child is not None and self._control.obstacle(run.named) is not None:
                child.end_group()

"""The thread that ends scripts when the site's people, or the portal, say so.

The agent's main loop may be waiting for the SuperLink, which somebody else runs. A pause, a veto or a revocation must
not wait with it: this thread asks nobody but the node's own files. It ends processes and tells the others that
something changed; the answers are the main loop's.
"""

import threading
from collections.abc import Callable

import structlog

from fedstudy_node.approvals import Approvals
from fedstudy_node.control import Control
from fedstudy_node.datasets import Datasets
from fedstudy_node.runs import ActiveRun, Runs

log = structlog.get_logger()

INTERVAL = 0.25


class Warden(threading.Thread):
    """Looks at what people decided several times a second, until `stop` is set.

    `changed` is called after each change of the control.
    """

    def __init__(
        self,
        control: Control,
        runs: Runs,
        approvals: Approvals,
        datasets: Datasets,
        *,
        stop: threading.Event,
        changed: Callable[[], None],
    ) -> None:
        super().__init__(name="warden", daemon=True)
        self._control = control
        self._runs = runs
        self._approvals = approvals
        self._datasets = datasets
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
            if child is not None and (self._control.obstacle(run.named) is not None or self._withdrawn(run)):
                child.end_group()

    def _withdrawn(self, run: ActiveRun) -> bool:
        """Whether the approval was taken back, or the dataset is not offered any more."""
        permit = run.permit
        if permit is None:
            return False
        taken_back = self._approvals.withdrawn(permit.approval, permit.statement) is not None
        return taken_back or not self._datasets.has(permit.dataset.id)

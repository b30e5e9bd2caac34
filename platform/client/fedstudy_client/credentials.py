"""Where the command line finds its portal and its token: the environment, or a file that nobody else may read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from platformdirs import user_config_path

from fedstudy_client.client import FedStudy
from fedstudy_client.problem import FedStudyProblem

URL, TOKEN, CA = "FEDSTUDY_URL", "FEDSTUDY_TOKEN", "FEDSTUDY_CA"
_OWNER_ONLY = 0o600


@dataclass(frozen=True)
class Credentials:
    """A sign-in: the portal's address, the token, and the CA file where the portal's certificate needs one."""

    url: str
    token: str
    ca: str = ""

    def connect(self) -> FedStudy:
        """The portal, as the person whose token this is."""
        return FedStudy(self.url, self.token, verify=self.ca or True)


def credentials_file() -> Path:
    """The file of the last sign-in, in the user's configuration folder."""
    return user_config_path("fedstudy") / "credentials.json"


def current(environment: Mapping[str, str] | None = None) -> Credentials:
    """The sign-in in use: of the environment (`FEDSTUDY_URL`, `FEDSTUDY_TOKEN`, and `FEDSTUDY_CA` for
    the portal's own certificate authority), else of the file.

    Raises:
        FedStudyProblem: E_AUTHENTICATION where there is none, E_CREDENTIALS_FILE for a file that cannot be trusted.
    """
    given = os.environ if environment is None else environment
    if given.get(TOKEN):
        if not given.get(URL):
            raise FedStudyProblem("E_AUTHENTICATION", f"{TOKEN} is set, but not {URL}: say of which portal it is.")
        return Credentials(given[URL].strip().rstrip("/"), given[TOKEN].strip(), given.get(CA, ""))
    kept = load()
    if kept is None or given.get(URL, kept.url).rstrip("/") != kept.url:
        where = given.get(URL) or "URL"
        raise FedStudyProblem("E_AUTHENTICATION", f"Nobody is signed in. Say: fedstudy login {where}")
    return kept


def load() -> Credentials | None:
    """The sign-in that is kept; None where there is none. Raises FedStudyProblem (E_CREDENTIALS_FILE)."""
    path = credentials_file()
    try:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise FedStudyProblem("E_CREDENTIALS_FILE", f"Others may read {path}. Say: chmod 600 {path}")
        return Credentials(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise FedStudyProblem("E_CREDENTIALS_FILE", f"{path} cannot be read: {error}") from error


def save(credentials: Credentials) -> Path:
    """Keep a sign-in for the next commands; returns the file, which only its owner may read.

    Raises:
        FedStudyProblem: E_CREDENTIALS_FILE.
    """
    path = credentials_file()
    part = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "w", encoding="utf-8") as file:
            json.dump(asdict(credentials), file)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise FedStudyProblem("E_CREDENTIALS_FILE", f"{path} cannot be written: {error}") from error
    return path


def forget() -> None:
    """Delete the sign-in that is kept."""
    credentials_file().unlink(missing_ok=True)

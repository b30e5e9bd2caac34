"""The dossier of the demo's run: fetched as an auditor would, verified without the portal, and left where one asks."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from fedstudy_client.dossiers import keep
from fedstudy_client.transport import Transport
from fedstudy_verify.dossier import verify_dossier
from fedstudy_verify.verifying import Trust


class DossierRefused(Exception):
    """The dossier does not hold; the message says why."""


def leave(auditor: Transport, run: str, into: Path | None, say: Callable[[str], None]) -> None:
    """Build and verify the run's dossier, in a folder of one's own or in one that goes away. Raises DossierRefused."""
    with TemporaryDirectory(prefix="fedstudy-demo-") as passing:
        folder = into or Path(passing) / "dossier"
        keep(auditor.download(f"runs/{run}/dossier"), folder)
        found = verify_dossier(folder, Trust(auditor.get("audit/log")["key"]))
    if not found.ok:
        raise DossierRefused("The run's dossier does not hold: " + " ".join(found.problems))
    where = f" It is in {into}; open dossier.html there." if into else ""
    say(f"The run's dossier holds: {found.files} files, {found.events} events of the log, verified offline.{where}")

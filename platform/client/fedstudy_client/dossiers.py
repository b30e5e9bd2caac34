"""Keeping a dossier: as the one file that the portal gave, or as a folder that people can open."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from fedstudy_client.problem import FedStudyProblem


def refuse_taken(into: Path) -> None:
    """Refuse what `keep` would (E_FILE), before anything is fetched."""
    if _is_folder(into) and into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise FedStudyProblem("E_FILE", f"{into} is there already, and not an empty folder.")


def keep(content: bytes, into: Path) -> None:
    """Write a dossier: into a file that ends in .zip, or else as single files into a folder of its own.

    Raises:
        FedStudyProblem: E_FILE, the folder has something in it, or what came is no sound dossier.
    """
    refuse_taken(into)
    if not _is_folder(into):
        into.write_bytes(content)
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            into.mkdir(parents=True, exist_ok=True)
            archive.extractall(into)
    except (zipfile.BadZipFile, OSError) as error:
        raise FedStudyProblem("E_FILE", f"The dossier cannot be unpacked into {into}: {error}") from error


def _is_folder(into: Path) -> bool:
    return into.suffix.lower() != ".zip"

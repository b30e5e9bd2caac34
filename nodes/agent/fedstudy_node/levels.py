"""The levels at which this node's site takes part in its studies, as the portal said last.

What a site signed bounds what it may be asked for. The level bounds it further as soon as it is lowered at the portal:
then this node refuses, whoever asks, what was signed for while the level was higher.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedstudy_core.errors import Refusal
from fedstudy_core.levels import DOES, PHASES_AT, allows, phases_at
from fedstudy_node.home import Home, write_private

USUAL = "F2"


@dataclass
class Levels:
    """The levels by study; one that the portal does not speak of any more stays as it was."""

    home: Home

    def keep(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep what the portal says with the scripts that it offers."""
        known = self.all()
        told = {str(row["study"]): str(row["level"]) for row in rows if row["level"] in PHASES_AT}
        if known | told != known:
            write_private(self._file, json.dumps(known | told).encode())

    def of(self, study: str) -> str:
        """Return the site's level in a study; the usual one where the portal has not said any."""
        return self.all().get(study, USUAL)

    def check(self, study: str, phase: str) -> None:
        """Refuse a phase that the level does not allow (E_LEVEL)."""
        level = self.of(study)
        if not allows(level, phase):
            raise Refusal("E_LEVEL", f"The site takes part at level {level}, which does not allow {DOES[phase]}.")

    def all(self) -> dict[str, str]:
        """Return the levels that the portal said, by study."""
        if not self._file.exists():
            return {}
        kept: dict[str, str] = json.loads(self._file.read_bytes())
        return kept

    @property
    def _file(self) -> Path:
        return self.home.path / "levels.json"


def asked_for(level: str) -> str:
    """What a site may be asked for at a level, in words."""
    *first, last = [DOES[phase] for phase in phases_at(level)]
    return f"{', '.join(first)} and {last}" if first else last

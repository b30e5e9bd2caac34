"""Attack a sandbox as whoever runs this: `python driver.py LEVEL HOME`, or `... none HOME` for no sandbox at all.

Prints what the probes found as JSON. Needs nothing but the node's own package.
"""

import json
import os
import sys
import sysconfig
import tempfile
from pathlib import Path

from fedstudy_core.sandbox import choosing, probes, targets


def unconfined(home: Path, folder: Path) -> dict[str, object]:
    """Run the probes in this very process, with a secret in its environment."""
    scratch, app = folder / "scratch", folder / "app"
    scratch.mkdir()
    app.mkdir()
    with targets.standing(home, folder) as standing:
        os.environ["SOME_TOKEN"] = standing["secret"]
        own = {"scratch": str(scratch), "app": str(app), "python": sysconfig.get_paths()["purelib"]}
        return {"level": "none", "findings": probes.run_probes(standing | own, list(probes.PROBES))}


def main() -> None:
    """Attack and print."""
    level, home = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        if level == "none":
            found = unconfined(home, Path(folder))
        else:
            sandbox = choosing.choose(home, at_most=level)
            names = sorted(
                set(probes.PROBES) - ({"landlock", "memory_group", "process_group"} if level < "S4" else set())
            )
            findings = targets.attack(sandbox.walls, home, Path(folder), names=names)
            missing = [str(item) for item in sandbox.report.missing]
            found = {
                "level": sandbox.level,
                "missing": missing,
                "findings": {item.name: {"open": item.open, "detail": item.detail} for item in findings},
            }
    json.dump(found | {"uid": os.getuid()}, sys.stdout)


if __name__ == "__main__":
    main()

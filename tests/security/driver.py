"""Attack a sandbox as whoever runs this: `python driver.py LEVEL HOME WAY`; LEVEL is "none" for no sandbox at all.

WAY is "forked" for attackers that are forked from a server, and "anew" for others. Prints what the probes found as
JSON. Needs nothing but the node's own package.
"""

import json
import os
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from fedstudy_core.sandbox import choosing, probes, targets
from fedstudy_core.sandbox.forking import ForkServer
from fedstudy_core.sandbox.launching import environment


def unconfined(home: Path, folder: Path) -> dict[str, object]:
    """Run the probes in this very process, with a secret in its environment."""
    scratch, app = folder / "scratch", folder / "app"
    scratch.mkdir()
    app.mkdir()
    with targets.standing(home, folder) as standing:
        os.environ["SOME_TOKEN"] = standing["secret"]
        own = {"scratch": str(scratch), "app": str(app), "python": sysconfig.get_paths()["purelib"]}
        return {"level": "none", "findings": probes.run_probes(standing | own, list(probes.PROBES))}


@contextmanager
def server_for(*, forked: bool) -> Iterator[ForkServer | None]:
    """A fork server that has imported the probes, where they are to be forked."""
    if not forked:
        yield None
        return
    with closing(ForkServer(environment(Path("/"), threads=1))) as server:
        server.load((targets.MODULE,))
        assert server.is_ready(targets.PATIENCE)
        yield server


def main() -> None:
    """Attack and print."""
    level, home = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        if level == "none":
            found = unconfined(home, Path(folder))
        else:
            forked = "forked" in sys.argv
            sandbox = choosing.choose(home, at_most=level, forks=forked)
            names = sorted(
                set(probes.PROBES) - ({"landlock", "memory_group", "process_group"} if level < "S4" else set())
            )
            with server_for(forked=forked) as server:
                findings = targets.attack(sandbox.walls, home, Path(folder), names=names, server=server)
            missing = [str(item) for item in sandbox.report.missing]
            found = {
                "level": sandbox.level,
                "forked": sandbox.walls.forked,
                "missing": missing,
                "findings": {item.name: {"open": item.open, "detail": item.detail} for item in findings},
            }
    json.dump(found | {"uid": os.getuid()}, sys.stdout)


if __name__ == "__main__":
    main()

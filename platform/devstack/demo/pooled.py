"""Training on all rows together, for comparison: `python -m devstack.demo.pooled FOLDER` prints figures as JSON.

A process of its own, so that torch stays out of the demo's. Possible only because these rows are public.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from devstack.demo.figures import Figures, SiteFigures, from_json
from devstack.errors import SetupError

SEED = 42
WAYS = ("global", "site")


def train(rows: Mapping[str, Path]) -> dict[str, Figures]:
    """Figures of pooled training on these files (one a centre), by the way of normalising. Raises SetupError."""
    files = [f"{centre}={path}" for centre, path in rows.items()]
    done = subprocess.run(
        [sys.executable, "-m", "devstack.demo.pooled", *files],
        # Threads only wait for one another over batches of four rows.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SetupError(
            f"Training on pooled rows failed:\n{done.stderr[-2000:]}",
            "put right what its last line names; `make clean` makes the environment anew",
        )
    return {way: from_json(figures) for way, figures in json.loads(done.stdout).items()}


def _train_here(rows: Mapping[str, Path]) -> dict[str, Figures]:
    from federation.library.heart_disease import reference

    splits = reference.read_splits(rows)
    answers = {}
    for way in WAYS:
        sites = reference.make_sites(splits, way)
        comparison = reference.train_pooled(sites, seed=SEED)
        figures = {
            name: SiteFigures(len(sites[name].train), site.examples, site.accuracy, site.auc)
            for name, site in comparison.sites.items()
        }
        answers[way] = Figures(figures, comparison.pooled.accuracy, comparison.pooled.auc)
    return answers


if __name__ == "__main__":
    given = {centre: Path(path) for centre, _, path in (word.partition("=") for word in sys.argv[1:])}
    print(json.dumps({way: figures.as_json() for way, figures in _train_here(given).items()}))

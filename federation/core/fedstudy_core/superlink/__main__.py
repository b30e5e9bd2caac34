"""`python -m fedstudy_core.superlink FOLDER [WORD ...]`: the words are those of `flower-superlink`.

Flower's program runs as it is, but for where it keeps objects (`objects`, in FOLDER) and how requests come to it
(`middlewares`, `bodies`).
"""

from __future__ import annotations

import gc
import sys
from functools import partial
from pathlib import Path

from flwr.superlink import config_loader
from flwr.superlink import main as flower
from flwr.superlink.cli.flower_superlink import flower_superlink

from fedstudy_core.memory import give_back_large_blocks
from fedstudy_core.superlink.middlewares import joining
from fedstudy_core.superlink.objects import FileObjectStoreFactory


def main() -> None:
    """Run the SuperLink."""
    folder = Path(sys.argv.pop(1)).absolute()
    config_loader.ObjectStoreFactory = partial(FileObjectStoreFactory, folder=folder)  # type: ignore[assignment,attr-defined]
    flower.create_app = joining(flower.create_app)
    give_back_large_blocks()
    gc.freeze()
    flower_superlink()


if __name__ == "__main__":
    main()

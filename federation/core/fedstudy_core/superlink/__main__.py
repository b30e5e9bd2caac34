"""`python -m fedstudy_core.superlink [WORD ...]`: the words are those of `flower-superlink`.

Flower's program runs as it is, but for how requests come to it (`middlewares`, `bodies`).
"""

from __future__ import annotations

import gc

from flwr.superlink import main as flower
from flwr.superlink.cli.flower_superlink import flower_superlink

from fedstudy_core.memory import give_back_large_blocks
from fedstudy_core.superlink.middlewares import joining


def main() -> None:
    """Run the SuperLink."""
    flower.create_app = joining(flower.create_app)
    give_back_large_blocks()
    gc.freeze()
    flower_superlink()


if __name__ == "__main__":
    main()

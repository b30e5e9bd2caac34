"""`python -m fedstudy_core.superlink [WORD ...]`: Flower's own program, its middlewares joined (`middlewares`)."""

from __future__ import annotations

from flwr.superlink import main as flower
from flwr.superlink.cli.flower_superlink import flower_superlink

from fedstudy_core.superlink.middlewares import joining


def main() -> None:
    """Run the SuperLink."""
    flower.create_app = joining(flower.create_app)
    flower_superlink()


if __name__ == "__main__":
    main()

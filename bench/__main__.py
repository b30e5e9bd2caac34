"""`make bench ARGS="[--rounds 50] [--raw-rounds 3] [--name rounds]"`."""

from __future__ import annotations

import argparse
import sys

from bench import rounds
from bench.raw_flower import RawFlowerError


def main() -> int:
    """Measure, write into bench/results, and print the table."""
    parser = argparse.ArgumentParser(prog="make bench", description=rounds.__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="rounds of FedStudy (50)")
    parser.add_argument("--raw-rounds", type=int, default=3, help="rounds of stock Flower (3); each takes long")
    parser.add_argument("--name", default="rounds", help="name of the files in bench/results (rounds)")
    arguments = parser.parse_args()
    try:
        result = rounds.measure(rounds=arguments.rounds, raw_rounds=arguments.raw_rounds)
    except (rounds.DemoFailed, RawFlowerError) as failure:
        print(failure, file=sys.stderr)
        return 1
    data, text = rounds.write(result, arguments.name)
    print(text.read_text("utf-8"))
    print(f"written: {data} and {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A module to fork, which does what its first word says."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


def say(*things: object) -> None:
    """Write a line for each."""
    sys.stdout.write("".join(f"{thing}\n" for thing in things))
    sys.stdout.flush()


def main() -> None:
    """Do it."""
    match sys.argv[1:]:
        case ["surroundings"]:
            own = sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1]  # noqa: PTH208 - the last reads it
            say({**os.environ}, Path.cwd(), *sys.argv[1:], " ".join(map(str, own)))
        case ["random"]:
            say(random.random(), np.random.random())
        case ["exit", word]:
            sys.exit(int(word) if word.isdigit() else word)
        case ["raise"]:
            raise ValueError("raised")
        case ["wait"]:
            time.sleep(600)
        case ["start another", what]:
            say(subprocess.Popen(["/bin/sleep", "600"], stdout=subprocess.DEVNULL).pid)
            if what == "and wait":
                time.sleep(600)

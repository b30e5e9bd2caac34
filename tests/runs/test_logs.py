"""What Flower says in a worker: trouble only, once, and in no colours."""

import subprocess
import sys

PROGRAM = """
import logging, sys
import federation.runs.flower
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(name)s %(message)s")
from flwr.supercore.logger import log
log(logging.INFO, "Sampled 2 nodes")
log(logging.WARNING, "Something is wrong")
"""


def test_flower_s_lines_go_the_way_of_all_others() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == "WARNING flwr Something is wrong\n"

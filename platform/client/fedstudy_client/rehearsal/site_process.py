"""The process of one site in a dry run: what runs a script at a node, without a node's walls and limits.

Started as `python -P -m fedstudy_client.rehearsal.site_process` with the framed pipe as standard input and output.
"""

from __future__ import annotations

import os
import sys

from fedstudy_core.sandbox.frames import FrameStream, FrameWriter, PipeClosed
from fedstudy_core.sandbox.inside import die_with_maker
from fedstudy_node.child import ScriptProcess


def main() -> None:
    """Serve the dry run that started this process; what the script prints goes to standard error."""
    die_with_maker()
    incoming, outgoing = os.dup(0), os.dup(1)
    with open(os.devnull) as nothing:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    try:
        ScriptProcess(FrameStream(incoming), FrameWriter(outgoing)).serve()
    except PipeClosed:
        sys.exit()


if __name__ == "__main__":
    main()

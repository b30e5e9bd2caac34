"""A script's own ServerApp in a process of its own: `python -P -m fedstudy_core.serverapp.process PLAN`.

Started by the engine for one run, behind the walls of `fedstudy_core.sandbox`, with a cleared environment. Standard
input and output are the framed pipe; what the app prints goes to standard error. One frame begins it:

    {"kind": "load", "bundle", "scratch", "memory_mb", "cpu_s", "threads", "seed", "nodes"}  body: Flower context

and from it come `ready`, the frames of `grid`, and at the end `result` (body: packed records), `file` for each file
(body: its bytes) and `done`; or `failed`, with the exception's text.
"""

from __future__ import annotations

import os
import random
import sys
import tomllib
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from fedstudy_core.sandbox.frames import Frame, FrameReader, FrameWriter, PipeClosed
from fedstudy_core.sandbox.inside import enter, limit_torch, limit_work

_LONGEST_TEXT = 20_000
CENTRE = 1


class UnusableApp(Exception):
    """The bundle has no ServerApp where its pyproject.toml says."""


def _lead(reader: FrameReader, writer: FrameWriter) -> None:
    """Load the app, run it to its end, and hand over what it leaves."""
    from fedstudy_core.flower import pack
    from fedstudy_core.serverapp.grid import PipeGrid
    from fedstudy_core.serverapp.leavings import as_records, left_files, note_results

    frame = reader.read_one()
    app, context = _load(frame)
    results: list[Any] = []
    note_results(results.append)
    _send(writer, Frame({"kind": "ready"}))
    folder = Path(frame.header["scratch"]) / "results"
    folder.mkdir()
    os.chdir(folder)
    app(PipeGrid(reader, writer, run_id=context.run_id, nodes=frame.header["nodes"]), context)
    if results:
        _send(writer, Frame({"kind": "result"}, pack(as_records(results[-1]))))
    for file in left_files(folder):
        _send(writer, Frame({"kind": "file", "name": file.name, "form": file.form}, file.content))
    _send(writer, Frame({"kind": "done"}))


def _load(frame: Frame) -> tuple[Any, Any]:
    """Import the ServerApp; random numbers begin where they began when the run was begun."""
    from flwr.common.serde import context_from_proto
    from flwr.proto.message_pb2 import Context as ProtoContext
    from flwr.serverapp import ServerApp
    from flwr.supercore.object_ref import load_app
    from flwr.supercore.task_identity import TaskIdentity

    header = frame.header
    limit_work(int(header["memory_mb"]), int(header["cpu_s"]))
    bundle = Path(header["bundle"])
    project = tomllib.loads((bundle / "pyproject.toml").read_text("utf-8"))
    reference = project["tool"]["flwr"]["app"]["components"]["serverapp"]
    context = context_from_proto(ProtoContext.FromString(bytes(frame.body)))
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = context.run_id, CENTRE, CENTRE
    random.seed(int(header["seed"]))  # noqa: TID251 - for the app, which shall draw the same when it is started again
    np.random.seed(int(header["seed"]))
    app = load_app(reference, UnusableApp, bundle)
    if not isinstance(app, ServerApp):
        raise UnusableApp(f"{reference} is not a ServerApp")
    limit_torch(int(header["threads"]))
    return app, context


def _send(writer: FrameWriter, frame: Frame) -> None:
    writer.put(frame)
    writer.flush()


def main() -> None:
    """Serve the engine that started this process."""
    incoming, outgoing = enter(sys.argv[1])
    writer = FrameWriter(outgoing)
    try:
        _lead(FrameReader(incoming), writer)
    except PipeClosed:
        return
    except BaseException as error:  # noqa: BLE001 - an app may raise anything, SystemExit included
        traceback.print_exception(error)
        text = "".join(traceback.format_exception_only(error))[-_LONGEST_TEXT:]
        _send(writer, Frame({"kind": "failed", "memory": isinstance(error, MemoryError), "text": text}))


if __name__ == "__main__":
    main()

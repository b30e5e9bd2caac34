"""The frame of the scripts on which the static analysis is tried: a bundle around a client app."""

from __future__ import annotations

PROJECT = """
[project]
name = "tiny"
version = "1.0.0"
dependencies = ["flwr>=1.41.0", "numpy", "torch>=2.4", "scikit-learn"]

[tool.flwr.app]
publisher = "tests"

[tool.flwr.app.components]
serverapp = "tiny.server:app"
clientapp = "tiny.client:app"

[tool.flwr.app.config]
local-steps = 10
folder = "somewhere"

[tool.fedstudy]
initial = "query.initial"

[tool.fedstudy.metrics]
loss = "mean"
"""
APP = """
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()

@app.train()
def train(message: Message, context: Context) -> Message:
    {body}
    return Message(RecordDict({{"metrics": MetricRecord({{"loss": 0.0, "num-examples": 1}})}}), reply_to=message)
"""


def in_train(body: str, *, before: str = "") -> str:
    """A client app whose training does this."""
    return before + APP.format(body="\n    ".join(body.splitlines()))


def bundle_files(client: str, **files: str) -> dict[str, bytes]:
    """The files of a bundle around a client app."""
    texts = {
        "pyproject.toml": PROJECT,
        "tiny/__init__.py": "",
        "tiny/client.py": client,
        "tiny/server.py": "app = None\n",
    }
    return {path: text.encode() for path, text in {**texts, **files}.items()}

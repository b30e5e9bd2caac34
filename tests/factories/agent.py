"""An enrolled node's home, a small script in numpy, and approvals for it; no portal needed."""

import atexit
import json
import shutil
import uuid
import warnings
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core import bundle as bundles
from fedstudy_core import flower, keys
from fedstudy_core.bands import band
from fedstudy_core.levels import phases_at
from fedstudy_core.statement import sign_statement, statement_id
from fedstudy_node import tables
from fedstudy_node.approvals import Limits, build_statement
from fedstudy_node.datasets import Dataset, Datasets
from fedstudy_node.home import Home, flower_public_pem, write_private
from fedstudy_node.trust import Trust

PASSPHRASE = b"correct horse battery"
STUDY = str(uuid.UUID(int=1))
RUN = str(uuid.UUID(int=2))

PYPROJECT = """
[project]
name = "numbers"
version = "1.0.0"
description = "A script of the tests"
license = "Apache-2.0"

[tool.flwr.app]
publisher = "tests"
fab-include = ["/numbers_app/*.py", "/LICENSE"]

[tool.flwr.app.components]
serverapp = "numbers_app.server_app:app"
clientapp = "numbers_app.client_app:app"

[tool.flwr.app.config]
step = 1.0
mode = "good"

[tool.fedstudy]
initial = "query.initial_model"
headline = "mean"

[tool.fedstudy.metrics]
mean = "mean"
calls = "max"
variables = "max"
secrets = "sum"
pid = "max"
threads = "max"

[tool.fedstudy.parameters.step]
min = 0.0
max = 10.0

[tool.fedstudy.parameters.mode]
choices = ["good", "raise", "hang", "nan", "exit", "config", "memory", "pickle"]
"""

CLIENT = '''
"""Adds a step to every number, and misbehaves on demand."""

import os
import time

import numpy as np
from fedstudy_node.scripting import open_table
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.query("initial_model")
def initial_model(message, context):
    return Message(RecordDict({"arrays": ArrayRecord([np.zeros(14, dtype=np.float32)])}), reply_to=message)


@app.query("environment")
def environment(message, context):
    secrets = sum("FEDSTUDY" in name or "TOKEN" in name for name in os.environ)
    print("a print of the script")
    threads = int(os.environ["OMP_NUM_THREADS"])
    facts = {"variables": len(os.environ), "secrets": secrets, "pid": os.getpid(), "threads": threads}
    return Message(RecordDict({"metrics": MetricRecord(facts)}), reply_to=message)


@app.train()
def train(message, context):
    mode = context.run_config["mode"]
    if mode == "raise":
        raise ValueError("patient Jane Doe has no cholesterol")
    if mode == "hang":
        time.sleep(600)
    if mode == "exit":
        os._exit(3)
    if mode == "memory":
        np.ones(10**10)
    calls = context.state.metric_records.get("calls", MetricRecord({"count": 0}))
    context.state["calls"] = MetricRecord({"count": int(calls["count"]) + 1})
    arrays = [array.numpy() + np.float32(context.run_config["step"]) for array in message.content["arrays"].values()]
    if mode == "nan":
        arrays[0][0] = np.nan
    metrics = {"num-examples": len(open_table(context)), "calls": int(calls["count"]) + 1}
    content = RecordDict({"arrays": ArrayRecord(arrays), "metrics": MetricRecord(metrics)})
    if mode == "config":
        content["note"] = ConfigRecord({"row": "63,1,145"})
    return Message(content, reply_to=message)


@app.evaluate()
def evaluate(message, context):
    table = open_table(context)
    metrics = MetricRecord({"num-examples": len(table), "mean": float(np.mean(table["age"]))})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)
'''

SERVER = "from flwr.serverapp import ServerApp\n\napp = ServerApp()\n"
TABLE = "age,sex\n63,1\n45,0\n71,1\n"


def script(**replaced: str) -> bytes:
    """The bundle of the tests' script; keywords replace text in its ClientApp."""
    client = CLIENT
    for old, new in replaced.items():
        client = client.replace(old, new)
    return app(client)


def needy(dependency: str = "of-tomorrow>=2.0") -> bytes:
    """The bundle of a script that declares, and imports, a package that is nowhere."""
    return app(CLIENT.replace("import time", "import of_tomorrow"), dependency)


def app(client: str, *dependencies: str) -> bytes:
    """The bundle of a script with this ClientApp."""
    declared = f"dependencies = {json.dumps(dependencies)}\n"
    files = {
        "pyproject.toml": PYPROJECT.replace("[project]\n", f"[project]\n{declared}" if dependencies else "[project]\n"),
        "LICENSE": "Apache-2.0",
        "numbers_app/__init__.py": "",
        "numbers_app/client_app.py": client,
        "numbers_app/server_app.py": SERVER,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Flower's builder uses a name that pathspec retires
        return bundles.build({path: text.encode() for path, text in files.items()})


@dataclass
class Node:
    """An enrolled node with one dataset."""

    home: Home
    dataset: Dataset

    @property
    def flower_key(self) -> str:
        return flower_public_pem(self.home.flower_key())

    def approve(
        self, fab: bytes, *, decision: str = "approved", epoch: int = 0, level: str = "F2", **limits: int
    ) -> bytes:
        """Sign a script for the node's dataset; answer the envelope."""
        statement = build_statement(
            settings=self.home.settings(),
            study=STUDY,
            bundle=bundles.inspect(fab),
            dataset=self.dataset,
            limits=replace(Limits(min_sites=1, sandbox_min="S0"), **limits),
            decision=decision,
            approvers=[signer()],
            sequence=1,
            epoch=epoch,
            phases=phases_at(level),
        )
        return sign_statement(statement, approval_key())

    def order(self, approval: bytes, **changed: object) -> flower.Order:
        """What the portal would say about a first round's training."""
        order = flower.Order(
            study=STUDY,
            run=RUN,
            round=1,
            phase="train",
            message_type="train",
            sites=1,
            rounds=3,
            deadline=(datetime.now(UTC) + timedelta(minutes=10)).isoformat(),
            model_sha256="",
            approval=approval,
            dataset=self.dataset.id,
        )
        return replace(order, **changed)


@cache
def _template() -> Home:
    """A home to copy: its passphrase is slow to stretch, on purpose."""
    folder = Path(mkdtemp(prefix="fedstudy-test-"))
    atexit.register(shutil.rmtree, folder)
    home = Home.create(folder / "home", name="node")
    Trust(home).add_console_key(name="Demo Admin", role="site admin", passphrase=PASSPHRASE)
    return home


@cache
def approval_key() -> Ed25519PrivateKey:
    """The approval key that all nodes of the tests share."""
    trust = Trust(_template())
    return trust.console_key(trust.on_console(), PASSPHRASE)


def signer() -> dict[str, str]:
    """The person who holds it, as a statement names them."""
    entry = Trust(_template()).on_console()
    return {"key": entry.id, "name": entry.name, "role": entry.role}


def _flower_pem() -> bytes:
    key = ec.generate_private_key(ec.SECP384R1())
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def make_node(folder: Path, *, superlink: str = "127.0.0.1:1", ca_pem: str = "", number: int = 1) -> Node:
    """Make a home and fill in by hand what enrolment and `dataset add` would."""
    home = Home(folder / "home")
    shutil.copytree(_template().path, home.path)
    write_private(home.path / "keys/identity.pem", keys.to_pem(keys.generate(), None))
    write_private(home.path / "keys/flower.pem", _flower_pem())
    write_private(home.path / "superlink-ca.pem", ca_pem.encode())
    home.save(
        replace(
            home.settings(),
            node=str(uuid.UUID(int=100 + number)),
            site=str(uuid.UUID(int=200 + number)),
            site_name=f"Site {number}",
            portal="http://127.0.0.1:1",
            superlink=superlink,
        )
    )
    file = folder / "data.csv"
    file.write_text(TABLE)
    columns = tables.columns_of(tables.read_table(file, "csv"))
    dataset = Dataset(
        id=str(uuid.UUID(int=300 + number)),
        study=STUDY,
        name="heart",
        path=str(file),
        format="csv",
        fingerprint=tables.fingerprint("csv", columns, tables.file_sha256(file)),
        columns=columns,
        rows_band=band(3),
        rows=3,
    )
    Datasets(home).add(dataset)
    return Node(home, dataset)


def revoke_by_hand(home: Home, epoch: int, *envelopes: bytes) -> None:
    """Write the file that `fedstudy-node revoke` writes."""
    entries = {statement_id(envelope): {"at": "", "reason": ""} for envelope in envelopes}
    write_private(home.path / "revoked.json", json.dumps({"epoch": epoch, "statements": entries}).encode())

"""A patient's name, planted by a script wherever a script can put words, stays at the hospital.

On the real stack: every table of the portal's database, every file of the portal, the workers and the SuperLink, and
the API's answers are searched for it, plain and in the usual codings. The script composes the name as it runs; it
stands nowhere in its source.
"""

import base64
import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.demo.cast import Hospital
from devstack.nodes import NodeCommandError
from fedstudy_core import bundle as bundles
from tests.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NAME = "Quillfeather"
CODE = "".join(chr(ord(letter) ^ 1) for letter in NAME)  # the script turns this into the name

PYPROJECT = """
[project]
name = "whispers"
version = "1.0.0"
description = "Puts a name wherever a script can"
license = "Apache-2.0"

[tool.flwr.app]
publisher = "tests"
fab-include = ["/whispers/*.py", "/LICENSE"]

[tool.flwr.app.components]
serverapp = "whispers.server_app:app"
clientapp = "whispers.client_app:app"

[tool.flwr.app.config]
place = "train"

[tool.fedstudy]
initial = "query.initial_model"
headline = "mean"

[tool.fedstudy.metrics]
mean = "mean"

[tool.fedstudy.parameters.place]
choices = [PLACES]
"""
CLIENT = '''
"""Says a name in every place where a script can say something."""

import sys

import numpy as np
from flwr.app import ArrayRecord, Array, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

NAME = "".join(chr(ord(letter) ^ 1) for letter in "CODE")
IMPORT_FAILS = False
if IMPORT_FAILS:
    raise ValueError(f"patient {NAME}")
app = ClientApp()


class Unusual(Exception):
    """An exception whose every form has the name."""

    def __str__(self):
        return NAME

    __repr__ = __str__


def misbehave(place):
    print(f"patient {NAME}", flush=True)
    print(f"patient {NAME}", file=sys.stderr, flush=True)
    if place in ("query", "train", "evaluate"):
        raise ValueError(f"patient {NAME}")
    if place == "exit":
        raise SystemExit(f"patient {NAME}")
    if place == "unusual":
        raise Unusual(NAME)
    if place == "note":
        error = ValueError("no name here")
        error.add_note(f"patient {NAME}")
        raise error
    if place == "type":
        raise type(NAME, (Exception,), {})("no name here")
    if place == "text metric":
        MetricRecord({"mean": NAME})


def reply(message, place, arrays):
    names = {"array": ("Array", NAME), "metric": ("Metric", NAME), "record": ("Record", NAME)}
    metric = NAME if place == "metric" else "mean"
    array = NAME if place == "array" else "0"
    record = NAME if place == "record" else "metrics"
    content = {record: MetricRecord({metric: 1.0, "num-examples": 9})}
    if arrays:
        content["arrays"] = ArrayRecord({array: Array(np.zeros(2, dtype=np.float32))})
    if place == "config":
        content["note"] = ConfigRecord({"patient": NAME})
    if place == "array bytes":
        content["arrays"] = ArrayRecord({"0": Array(np.array([NAME]))})
    return Message(RecordDict(content), reply_to=message)


@app.query("initial_model")
def initial_model(message, context):
    place = context.run_config["place"]
    if place in ("query", "array", "metric", "record", "config", "array bytes", "type"):
        misbehave(place)
        return reply(message, place, arrays=True)
    return Message(RecordDict({"arrays": ArrayRecord({"0": Array(np.zeros(2, dtype=np.float32))})}), reply_to=message)


@app.train()
def train(message, context):
    place = context.run_config["place"]
    if place != "evaluate":
        misbehave(place)
    return reply(message, place, arrays=True)


@app.evaluate()
def evaluate(message, context):
    misbehave(context.run_config["place"])
    return reply(message, "", arrays=False)
'''
SERVER = "from flwr.serverapp import ServerApp\n\napp = ServerApp()\n"
HELD_BACK = {"E_OUTPUT_SCHEMA", "E_METRICS_NAMES", "E_UPDATE_NAMES", "E_UPDATE_DTYPE", "E_REPLY"}
PLACES = {
    "query": {"E_SCRIPT"},
    "train": {"E_SCRIPT"},
    "evaluate": {"E_SCRIPT"},
    "exit": {"E_SCRIPT"},
    "unusual": {"E_SCRIPT"},
    "note": {"E_SCRIPT"},
    "type": {"E_SCRIPT"},
    "text metric": {"E_SCRIPT"},
    "array": HELD_BACK,
    "metric": HELD_BACK,
    "record": HELD_BACK,
    "config": HELD_BACK,
    "array bytes": HELD_BACK,
}


def whispering(**replaced: str) -> bytes:
    """The script's bundle; keywords replace text in its ClientApp."""
    client = CLIENT.replace("CODE", CODE)
    for old, new in replaced.items():
        assert old in client
        client = client.replace(old, new)
    choices = ", ".join(f'"{place}"' for place in PLACES)
    files = {
        "pyproject.toml": PYPROJECT.replace("PLACES", choices),
        "LICENSE": "Apache-2.0",
        "whispers/__init__.py": "",
        "whispers/client_app.py": client,
        "whispers/server_app.py": SERVER,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Flower's builder uses a name that pathspec retires
        return bundles.build({path: text.encode() for path, text in files.items()})


@pytest.fixture(scope="module")
def site(stage: Stage) -> Hospital:
    return stage.cast.hospitals[0]


def submit(stage: Stage, site: Hospital, name: str, fab: bytes) -> str:
    """The PI submits a script and the site approves it; returns the version's id."""
    script = stage.investigator.post(f"studies/{stage.prepared.study}/scripts", {"name": name})
    version = stage.investigator.upload(f"scripts/{script['id']}/versions", "bundle", "whispers.fab", fab)
    node = stage.stack.node(site.node)
    signature = ["--approver", site.admin.name, "--passphrase-file", str(node.passphrase_file), "--min-sites", "1"]
    node.command("approve", version["id"], "--dataset", stage.prepared.datasets[site.centre], *signature, "--yes")
    return str(version["id"])


@pytest.fixture(scope="module")
def whispers(stage: Stage, site: Hospital) -> str:
    return submit(stage, site, "whispers", whispering())


def run_alone(stage: Stage, site: Hospital, version: str, place: str) -> set[str]:
    """Run the script at one site; returns the codes of its answers."""
    plan = {"version": version, "rounds": 1, "quorum": 1, "sites": [stage.prepared.enrolments[site.centre]]}
    run = stage.start_run(label=f"A name in {place}", config={"place": place}, deadline_s=60, **plan)
    ended = stage.wait_for_end(run)
    assert ended["state"] == "failed", ended
    return {answer["code"] for item in stage.rounds(run) for answer in item["sites"] if answer["code"]}


@pytest.fixture(scope="module")
def forms() -> list[bytes]:
    """The name as bytes, in the codings in which it might be written."""
    coded = {NAME.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be")}
    shifted = {base64.b64encode(bytes(shift) + NAME.encode())[4:-4] for shift in range(3)}
    return [*coded, *shifted, NAME.encode().hex().encode(), NAME.lower().encode()]


def leaks_in_files(stage: Stage, forms: list[bytes]) -> list[str]:
    """Files of the central side that hold the name; the database is searched table by table."""
    state = stage.stack.folders.state
    ours = [path for path in state.rglob("*") if path.is_file() and not _is_searched_elsewhere(path.relative_to(state))]
    assert any(path.name == "portal.log" for path in ours)
    assert any(path.name == "worker.log" for path in ours)
    assert any(path.name == "superlink.log" for path in ours)
    return [str(path) for path in ours if any(form in content_of(path) for form in forms)]


def content_of(path: Path) -> bytes:
    """The file's bytes; none where it was deleted meanwhile, as what a run no longer expects is."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _is_searched_elsewhere(path: Path) -> bool:
    """Whether a file is a hospital's own, or the database's."""
    return path.parts[0] in ("nodes", "hospitals", "postgres") or path.name.startswith("node-")


def leaks_in_database(stage: Stage, forms: list[bytes]) -> list[str]:
    """Tables of the portal that hold the name."""
    found = []
    with stage.tampered_database() as database:
        tables = database.execute(
            "SELECT schemaname || '.' || quote_ident(tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert len(tables) > 30
        for (table,) in tables:
            with database.cursor().copy(f"COPY {table} TO STDOUT") as rows:
                content = b"".join(bytes(part) for part in rows)
            if any(form in content for form in forms):
                found.append(table)
    return found


@pytest.fixture(autouse=True)
def nothing_leaks(stage: Stage, forms: list[bytes]) -> Iterator[None]:
    yield
    assert leaks_in_database(stage, forms) == []
    assert leaks_in_files(stage, forms) == []


def test_the_search_would_find_it(stage: Stage, forms: list[bytes]) -> None:
    with stage.tampered_database() as database:
        database.execute("CREATE TABLE planted (said bytea)")
        database.execute("INSERT INTO planted VALUES (%s)", [f"patient {NAME}".encode()])
        database.commit()
        assert leaks_in_database(stage, forms) == ["public.planted"]
        database.execute("DROP TABLE planted")
    planted = stage.stack.folders.logs / "planted.log"
    planted.write_text(f"patient {NAME}")
    assert leaks_in_files(stage, forms) == [str(planted)]
    planted.unlink()


@pytest.mark.parametrize("place", PLACES)
def test_a_name_in_a_scripts_words_stays_at_the_site(stage: Stage, site: Hospital, whispers: str, place: str) -> None:
    assert run_alone(stage, site, whispers, place) & PLACES[place]


def test_a_name_in_an_error_of_import_stays_at_the_site(stage: Stage, site: Hospital) -> None:
    version = submit(stage, site, "whispers at import", whispering(**{"IMPORT_FAILS = False": "IMPORT_FAILS = True"}))
    assert run_alone(stage, site, version, "train") == {"E_SCRIPT"}


def test_the_name_was_said_at_the_site(stage: Stage, site: Hospital, whispers: str) -> None:
    """Otherwise the tests above would prove nothing: the hospital's own logs have it."""
    home = stage.stack.node(site.node).home
    run_alone(stage, site, whispers, "train")
    assert NAME in (home / "agent.log").read_text()
    assert any(NAME in path.read_text() for path in (home / "logs").glob("*.log"))


@pytest.mark.parametrize("header", ["age,sex", NAME + ",sex", f"{NAME}_name,age", f"age,{NAME}"])
def test_a_name_in_a_data_file_stays_at_the_site(stage: Stage, site: Hospital, tmp_path: Path, header: str) -> None:
    """As a value, as a column's name (a file without a header), as a column that looks like an identifier."""
    file = tmp_path / "rows.csv"
    file.write_text(f"{header}\n{NAME},1\n63,{NAME}\n")
    with pytest.raises(NodeCommandError) as refused:
        stage.stack.node(site.node).command(
            "dataset", "add", "--study", stage.prepared.study, "--name", "planted", str(file)
        )
    assert refused.value.code == "E_DATASET_INVALID"


def test_the_apis_answers_do_not_have_it(stage: Stage, forms: list[bytes]) -> None:
    runs = list(stage.investigator.each(f"studies/{stage.prepared.study}/runs"))
    told = [
        runs,
        list(stage.investigator.each(f"studies/{stage.prepared.study}/datasets")),
        *([stage.run(run["id"]), stage.rounds(run["id"]), stage.events(run["id"])] for run in runs),
    ]
    content = json.dumps(told).encode()
    assert len(runs) >= len(PLACES)
    assert not any(form in content for form in forms)

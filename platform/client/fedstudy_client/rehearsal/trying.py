"""A dry run: a script over synthetic rows at several sites here, led as the portal leads it, or by itself."""

from __future__ import annotations

import logging
import sys
import tempfile
import tomllib
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flwr.app import Context, Message, RecordDict
from flwr.serverapp import ServerApp
from flwr.supercore.object_ref import load_app

from fedstudy_client.mock import write_mock
from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.rehearsal.bundles import Built
from fedstudy_client.rehearsal.leading import Lead, Outcome
from fedstudy_client.rehearsal.sites import RUN_ID, SERVER_ID, ScriptFailed, Sites
from fedstudy_client.study_code.model import Variable
from fedstudy_core import bundle as bundles
from fedstudy_core.errors import Invalid
from fedstudy_core.metrics import combine
from fedstudy_core.parameters import validate_config
from fedstudy_node.child import UnusableApp

ROUNDS_KEY = "num-server-rounds"


@dataclass(frozen=True)
class Setting:
    """How a script is tried.

    Attributes:
        rows: at each site.
        rounds: a script that leads itself has its own.
        seed: of the rows.
        config: values of the script's parameters.
        node_config: what sites would set for the script beside its rows.
        prints: tell what the script printed at each site.
    """

    sites: int = 3
    rows: int = 200
    rounds: int = 2
    seed: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    node_config: Mapping[str, Any] = field(default_factory=dict)
    prints: bool = False


def dry_run(
    built: Built, variables: Sequence[Variable], setting: Setting, told: Callable[[str], None] = lambda text: None
) -> Outcome:
    """Try a script; `told` hears what happens.

    Raises:
        ScriptFailed: the script raised an exception, with its traceback.
        FedStudyProblem: E_RUN_CONFIG; a code of a node's for an answer that it would keep back; E_NO_INITIAL.
    """
    config = _config(built, setting)
    with tempfile.TemporaryDirectory(prefix="fedstudy-dry-run-") as folder, _quiet():
        app, rows = Path(folder, "app"), {}
        bundles.unpack(built.content, app)
        for number in range(1, setting.sites + 1):
            path = Path(folder, f"site-{number}.csv")
            write_mock(variables, setting.rows, path, seed=setting.seed + number)
            rows[f"site {number}"] = (path, setting.rows)
        with _prints(Path(folder), told, wanted=setting.prints), Sites(built, app, config) as sites:
            told(f"{setting.sites} sites with {setting.rows} rows each import the script")
            sites.open(rows, setting.node_config)
            if built.bundle.declaration.server == "own":
                return _led_by_itself(sites, app, config, told)
            return Lead(built, sites, config, told).run(setting.rounds)


def _config(built: Built, setting: Setting) -> dict[str, Any]:
    given = dict(setting.config)
    if built.bundle.declaration.server != "own" and ROUNDS_KEY in built.bundle.default_config:
        given[ROUNDS_KEY] = setting.rounds
    try:
        return dict(validate_config(built.bundle.parameters, given))
    except Invalid as error:
        said = "; ".join(f"{item.field}: {item.detail}" for item in error.errors)
        raise FedStudyProblem(error.code, f"{error.detail} {said}") from error


@contextmanager
def _prints(folder: Path, told: Callable[[str], None], *, wanted: bool) -> Iterator[None]:
    """Tell at the end, also after a mistake, what the script printed at each site."""
    try:
        yield
    finally:
        for log in sorted(folder.glob("site-*.log")) if wanted else ():
            for line in log.read_text("utf-8", "replace").splitlines():
                told(f"{log.stem} | {line}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Flower's own account of each round says what the dry run says anyway."""
    logger = logging.getLogger("flwr")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _imports_undone(app: Path) -> Iterator[None]:
    """Forget what was imported from the app's folder, so that the next app's modules are its own."""
    path = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            if Path(getattr(module, "__file__", None) or "/").is_relative_to(app):
                del sys.modules[name]


def _led_by_itself(sites: Sites, app: Path, config: Mapping[str, Any], told: Callable[[str], None]) -> Outcome:
    """Run the script's own ServerApp, as the centre would."""
    project = tomllib.loads((app / bundles.PROJECT).read_text("utf-8"))
    reference = project["tool"]["flwr"]["app"]["components"]["serverapp"]
    outcome = Outcome()

    def exchanged(message_type: str, replies: Sequence[Message]) -> None:
        records = [dict(record) for reply in replies for record in reply.content.metric_records.values()]
        outcome.rounds.append({message_type: combine(records, {})})
        told(f"exchange {len(outcome.rounds)}: {message_type}")

    sites.exchanged = exchanged
    with tempfile.TemporaryDirectory(prefix="fedstudy-dry-run-") as work, chdir(work), _imports_undone(app):
        try:
            server = load_app(reference, UnusableApp, app)
            if not isinstance(server, ServerApp):
                raise UnusableApp(f"{reference} is not a ServerApp")
            server(sites, Context(RUN_ID, SERVER_ID, {}, RecordDict(), dict(config)))
        except FedStudyProblem:
            raise
        except Exception as error:
            raise ScriptFailed("the centre", "lead", "".join(traceback.format_exception(error))) from error
    return outcome

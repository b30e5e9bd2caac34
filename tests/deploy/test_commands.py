"""What the deployment starts exists: programs, options, addresses of health checks."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.urls import resolve

from tests.deploy.description import ROOT, Image, read_compose, words

SERVICES = read_compose(ROOT / "docker-compose.yml")["services"]


def options(given: Iterable[str]) -> set[str]:
    return {word.split("=", 1)[0] for word in given if word.startswith("--")}


def attribute(target: str) -> object:
    """The object that `module:name` names."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def click_options(command: object) -> set[str]:
    parameters = command.params  # type: ignore[attr-defined]
    return {name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("given", [words(SERVICES["portal"]), Image("portal").words("CMD")])
def test_uvicorn_serves_the_portal(given: list[str]) -> None:
    from uvicorn.main import main

    assert given[:2] == ["uvicorn", "portal.asgi:application"]
    assert callable(attribute(given[1]))
    assert options(given) <= click_options(main)


@pytest.mark.parametrize(("service", "name"), [("worker", "worker"), ("outside", "worker"), ("beat", "beat")])
def test_celery_runs_the_portals_application(service: str, name: str) -> None:
    from celery import Celery

    command = getattr(importlib.import_module(f"celery.bin.{name}"), name)
    given = words(SERVICES[service])
    assert (given[0], name in given) == ("celery", True)
    application = next(word.removeprefix("--app=") for word in given if word.startswith("--app="))
    assert isinstance(attribute(application), Celery)
    assert options(given) - {"--app"} <= click_options(command)


def test_every_queue_has_a_worker_and_no_run_waits_behind_what_goes_outside() -> None:
    from devstack.stack import QUEUES
    from portal.celery import app

    assert queues_of("worker") == [app.conf.task_default_queue]
    assert queues_of("outside") == sorted({route["queue"] for route in app.conf.task_routes.values()})
    assert sorted(QUEUES) == sorted(queues_of("worker") + queues_of("outside"))


def queues_of(service: str) -> list[str]:
    """The queues that a worker takes tasks from."""
    (given,) = (word.removeprefix("--queues=") for word in words(SERVICES[service]) if word.startswith("--queues="))
    return given.split(",")


@pytest.mark.parametrize("service", ["worker", "outside"])
def test_a_worker_is_asked_by_its_own_name(service: str) -> None:
    name = next(word.removeprefix("--hostname=") for word in words(SERVICES[service]) if "hostname" in word)
    assert f"--destination={name}" in SERVICES[service]["healthcheck"]["test"]


@pytest.mark.parametrize("given", [words(SERVICES["superlink"]), Image("superlink").words("CMD")])
def test_superlink_is_started_with_options_it_has(given: list[str]) -> None:
    from flwr.superlink.cli.flower_superlink import _parse_args_run_superlink

    assert given[:2] == ["python", "-m"]
    assert importlib.util.find_spec(f"{given[2]}.__main__") is not None
    known = set(_parse_args_run_superlink()._option_string_actions)
    assert options(given[3:]) <= known


def test_the_superlinks_image_holds_all_that_it_is_started_by() -> None:
    """It holds Flower, and of the core one package and one module: they import nothing else of FedStudy's."""
    imports = re.compile(r"^\s*(?:from|import) (fedstudy\S*|federation\S*)", re.MULTILINE)
    files = [ROOT / "federation/core/fedstudy_core" / name for name in ("__init__.py", "memory.py")]
    files += (ROOT / "federation/core/fedstudy_core/superlink").rglob("*.py")
    named = {name for file in files for name in imports.findall(file.read_text("utf-8"))}
    assert named
    assert all(name.startswith(("fedstudy_core.superlink", "fedstudy_core.memory")) for name in named), named
    held = [f"federation/core/fedstudy_core/{name}" for name in ("__init__.py", "memory.py", "superlink")]
    copied = dict(Image("superlink").copies())
    assert [copied[name] for name in held] == [name.replace("federation/core", "/opt/fedstudy") for name in held]


def test_superlink_authenticates_nodes_and_installs_nothing() -> None:
    given = options(words(SERVICES["superlink"]))
    assert {"--enable-supernode-auth", "--disable-runtime-dependency-installation", "--ssl-certfile"} <= given
    assert "--isolation=process" in words(SERVICES["superlink"])
    assert "--insecure" not in given
    assert SERVICES["superlink"]["environment"]["FLWR_TELEMETRY_ENABLED"] == "0"


NODE_CHECK = SERVICES["node"]["healthcheck"]["test"][1].split(" | ")


@pytest.mark.parametrize("given", [words(SERVICES["node"]), Image("node").words("CMD"), NODE_CHECK[0].split()])
def test_the_node_is_started_with_commands_it_has(given: list[str]) -> None:
    from fedstudy_node.cli import build_parser

    project = tomllib.loads((ROOT / "nodes/agent/pyproject.toml").read_text("utf-8"))
    assert given[0] in project["project"]["scripts"]
    assert callable(attribute(project["project"]["scripts"][given[0]]))
    assert callable(build_parser().parse_args(given[1:]).command)


def test_the_nodes_health_is_read_from_what_it_prints(tmp_path: Path) -> None:
    from fedstudy_node.status import Status, read_status

    running = json.dumps({"agent": read_status(Status(tmp_path / "status.json")._path)}, indent=1)
    stopped = json.dumps({"agent": read_status(tmp_path / "none.json")}, indent=1)
    for printed, healthy in ((running, True), (stopped, False)):
        done = subprocess.run(["/bin/sh", "-c", NODE_CHECK[1]], input=printed, text=True, check=False)
        assert (done.returncode == 0) is healthy


def test_systemd_starts_the_same_command() -> None:
    unit = (ROOT / "deploy/systemd/fedstudy-node.service").read_text("utf-8")
    started = re.findall(r"^ExecStart=(\S+) (.*)$", unit, re.MULTILINE)
    assert [(program.rpartition("/")[2], rest) for program, rest in started] == [("fedstudy-node", "run")]
    assert "Environment=FEDSTUDY_HOME=/var/lib/fedstudy-node" in unit
    assert "User=fedstudy-node" in unit


def test_management_commands_exist() -> None:
    guides = [ROOT / "deploy/README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy/images").glob("*.Dockerfile")]
    named = {words(SERVICES["migrate"])[2]}
    for path in guides:
        named |= set(re.findall(r"manage\.py ([a-z_]+)", path.read_text("utf-8")))
    assert named <= set(get_commands())


# --- health checks


def test_portal_answers_where_it_is_asked() -> None:
    check = SERVICES["portal"]["healthcheck"]["test"]
    assert check[1:3] == ["python", "deploy/images/check.py"]
    path = re.sub(r"^http://[^/]+", "", check[3])
    assert resolve(path).func is not None
    inside = {
        destination.rstrip("/") for source, destination in Image("portal").copies() if source.endswith("check.py")
    }
    assert inside == {"deploy/images"}


def test_superlink_answers_where_it_is_asked() -> None:
    from flwr.supercore.routers.health import router

    check = SERVICES["superlink"]["healthcheck"]["test"]
    path = re.sub(r"^https://superlink:\d+", "", check[3])
    assert path in {getattr(route, "path", "") for route in router.routes}
    assert dict(Image("superlink").copies())["deploy/images/check.py"] == check[2]


def test_proxy_answers_where_it_is_asked() -> None:
    address = SERVICES["proxy"]["healthcheck"]["test"][-1]
    configuration = (ROOT / "deploy/proxy/nginx.conf").read_text("utf-8")
    assert f"location = {re.sub(r'^http://[^/]+', '', address)} " in configuration


def test_entrypoints_exist() -> None:
    entrypoint = Image("portal").words("ENTRYPOINT")
    assert entrypoint == ["/bin/sh", "/app/deploy/images/entrypoint.sh"]
    for script in (
        "deploy/images/entrypoint.sh",
        "deploy/postgres/roles.sh",
        "deploy/valkey/start.sh",
        "deploy/prepare.sh",
    ):
        assert (ROOT / script).read_text("utf-8").startswith("#!/bin/sh\n")
    assert shutil.which("sh")

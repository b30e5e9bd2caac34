"""docker-compose.yml says only what the code does: no engine runs here, so its words are compared one by one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.description import ROOT, VARIABLE, Image, environment, read_compose, settle, words

COMPOSE_FILE = ROOT / "docker-compose.yml"
COMPOSE = read_compose(COMPOSE_FILE)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PORTAL_PROCESSES = ("migrate", "portal", "worker", "outside", "beat", "sequencer")
ONE_SHOT = ("migrate",)
IMAGES = ("portal", "superlink", "node")


def ports(service: dict[str, Any]) -> dict[int, str]:
    """Published ports by container port."""
    pairs = (settle(text).rsplit(":", 1) for text in service.get("ports", []))
    return {int(inside): outside for outside, inside in pairs}


def test_every_part_is_there() -> None:
    expected = {"database", "broker", "superlink", "proxy", "node", *PORTAL_PROCESSES}
    assert set(SERVICES) == expected


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_has_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["read_only"] is True
    assert not {"privileged", "cap_add", "pid", "network_mode", "devices"} & set(service)
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_runs_as_root(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        users = Image(Path(service["build"]["dockerfile"]).name.removesuffix(".Dockerfile")).instructions("USER")
        assert users, "the image names no user"
        assert not users[-1].startswith(("0", "root"))
    elif name == "proxy":
        assert "unprivileged" in service["image"]
    else:
        assert service["user"] not in ("root", "0")


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in ONE_SHOT])
def test_every_lasting_service_says_whether_it_is_well(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert check["retries"] >= 3


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    tag = settle(SERVICES[name]["image"]).rpartition(":")[2]
    assert re.search(r"\d", tag), f"{name} takes whatever is newest"


def test_nobody_waits_for_what_never_becomes_healthy() -> None:
    for service in SERVICES.values():
        for name, wish in service.get("depends_on", {}).items():
            assert name in SERVICES
            if wish["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[name]
            else:
                assert (wish["condition"], name in ONE_SHOT) == ("service_completed_successfully", True)


# --- networks and ports


def test_only_the_proxy_has_ports() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]


def test_published_ports_are_the_ones_the_proxy_listens_on() -> None:
    configuration = (ROOT / "deploy/proxy/nginx.conf").read_text("utf-8")
    listened = {int(port) for port in re.findall(r"listen (\d+)", configuration)}
    assert set(ports(SERVICES["proxy"])) == listened


def test_superlink_is_met_by_worker_and_proxy_only() -> None:
    assert SERVICES["superlink"]["networks"] == ["fleet"]
    members = {name for name, service in SERVICES.items() if "fleet" in service["networks"]}
    assert members == {"superlink", "worker", "proxy"}


def test_inner_networks_have_no_way_out() -> None:
    assert {name for name, network in COMPOSE["networks"].items() if (network or {}).get("internal")} == {
        "front",
        "data",
        "fleet",
    }
    assert SERVICES["database"]["networks"] == ["data"]
    assert SERVICES["broker"]["networks"] == ["data"]


def test_who_sends_outside_gets_there_and_is_reached_by_nobody() -> None:
    assert SERVICES["outside"]["networks"] == ["data", "out"]
    assert {name for name, service in SERVICES.items() if "out" in service["networks"]} == {"portal", "outside"}
    with_a_way_out = {name for name, network in COMPOSE["networks"].items() if not (network or {}).get("internal")}
    inside = [name for name, service in SERVICES.items() if not with_a_way_out & set(service["networks"])]
    assert "worker" in inside, "what drives runs needs none"


def test_services_are_called_by_the_ports_they_listen_on() -> None:
    superlink = dict(word.split("=", 1) for word in words(SERVICES["superlink"]) if "=" in word)
    internal = environment(SERVICES["worker"])["FEDSTUDY_SUPERLINK_INTERNAL"]
    assert internal == f"superlink:{superlink['--port']}"
    portal = dict(word.split("=", 1) for word in words(SERVICES["portal"]) if "=" in word)
    configuration = (ROOT / "deploy/proxy/nginx.conf").read_text("utf-8")
    assert f"server portal:{portal['--port']} " in configuration
    assert f"server {internal} " in configuration


# --- secrets


def test_nothing_secret_is_written_down() -> None:
    for name, service in SERVICES.items():
        for variable, value in environment(service).items():
            if re.search(r"(?<!REPLACES_)PASSWORD|SECRET|TOKEN|_KEY", variable):
                assert value.startswith("/run/secrets/"), f"{name}: {variable} is not a file"


def test_secrets_in_use_are_declared_and_declared_secrets_are_used() -> None:
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])


@pytest.mark.parametrize("name", SERVICES)
def test_secret_files_are_given_to_those_who_name_them(name: str) -> None:
    service = SERVICES[name]
    named = re.findall(r"/run/secrets/([a-z-]+)", str({**service, "secrets": None}))
    for volume in service.get("volumes", []):
        source = str(volume).split(":", maxsplit=1)[0]
        if source.startswith("./deploy/"):
            named += re.findall(r"/run/secrets/([a-z-]+)", (ROOT / source).read_text("utf-8"))
    assert set(named) <= set(service.get("secrets", []))


# --- variables


def test_variables_without_a_default_are_asked_for_and_explained() -> None:
    text = COMPOSE_FILE.read_text("utf-8")
    asked = {match["name"] for match in VARIABLE.finditer(text) if match["form"] == ":?"}
    bare = {match["name"] for match in VARIABLE.finditer(text) if match["form"] is None}
    assert bare <= asked
    example = (ROOT / "deploy/example.env").read_text("utf-8")
    given = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    assert asked == given


def test_defaults_in_the_example_are_the_real_ones() -> None:
    text = COMPOSE_FILE.read_text("utf-8")
    defaults = {match["name"]: match["text"] for match in VARIABLE.finditer(text) if match["form"] == ":-"}
    example = (ROOT / "deploy/example.env").read_text("utf-8")
    assert dict(re.findall(r"^# ([A-Z_]+)=(.*)$", example, re.MULTILINE)) == defaults


@pytest.mark.parametrize("name", PORTAL_PROCESSES)
def test_the_portal_reads_every_variable_it_is_given(name: str) -> None:
    code = "".join(path.read_text("utf-8") for path in (ROOT / "platform/portal").glob("*.py"))
    given = {variable for variable in environment(SERVICES[name]) if variable.startswith("FEDSTUDY_")}
    assert {variable for variable in given if f'"{variable}"' not in code} == set()


@pytest.mark.parametrize("name", PORTAL_PROCESSES)
def test_the_portal_is_given_every_variable_it_insists_on(name: str) -> None:
    code = (ROOT / "platform/portal/settings.py").read_text("utf-8")
    required = set(re.findall(r'environment\.required\("([A-Z_]+)"\)', code))
    assert required, "the settings no longer say what they require"
    entrypoint = (ROOT / "deploy/images/entrypoint.sh").read_text("utf-8")
    exported = set(re.findall(r"export ([A-Z_]+)", entrypoint))
    assert required <= exported | set(environment(SERVICES[name]))


def test_the_entrypoint_reads_every_file_it_is_given() -> None:
    entrypoint = (ROOT / "deploy/images/entrypoint.sh").read_text("utf-8")
    for name in PORTAL_PROCESSES:
        for variable in environment(SERVICES[name]):
            if variable.endswith("_FILE") and not variable.startswith("FEDSTUDY_"):
                assert f"${variable}" in entrypoint


def test_the_node_reads_its_home() -> None:
    code = (ROOT / "nodes/agent/fedstudy_node/cli/__init__.py").read_text("utf-8")
    assert '"FEDSTUDY_HOME"' in code
    mounts = {volume.split(":")[1] for volume in SERVICES["node"]["volumes"]}
    assert environment(SERVICES["node"])["FEDSTUDY_HOME"] in mounts


# --- images


@pytest.mark.parametrize("name", IMAGES)
def test_images_copy_what_is_there(name: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    admitted = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    for source, _ in Image(name).copies():
        assert (ROOT / source).exists(), source
        assert any(source == entry or source.startswith(f"{entry}/") for entry in admitted), source


def test_the_portal_image_holds_every_application() -> None:
    from django.conf import settings

    copied = {source for source, _ in Image("portal").copies()}
    roots = [ROOT / source for source in copied]
    for label in settings.INSTALLED_APPS:
        relative = Path(*label.split("."))
        for base in (ROOT, ROOT / "platform"):
            if (base / relative / "__init__.py").is_file():
                assert any((base / relative).is_relative_to(root) for root in roots), label


def test_the_portal_image_holds_every_package_of_the_federation() -> None:
    """Some have no tables, and are no applications."""
    packages = {str(path.parent.relative_to(ROOT)) for path in (ROOT / "federation").glob("*/__init__.py")}
    assert packages >= {"federation/runs", "federation/dossiers"}
    assert packages <= {source for source, _ in Image("portal").copies()}


def test_the_node_image_holds_nothing_of_the_portal() -> None:
    allowed = {"requirements.lock", "federation/core", "nodes/agent"}
    assert {source for source, _ in Image("node").copies()} == allowed


@pytest.mark.parametrize("name", IMAGES)
def test_build_files_are_the_ones_compose_names(name: str) -> None:
    service = next(item for item in SERVICES.values() if f"/{name}:" in item["image"])
    assert (ROOT / "deploy" / "images" / Path(service["build"]["dockerfile"]).name) == Image(name).path


def test_versions_in_the_images_are_the_projects_own() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert re.findall(r"flwr==[\d.]+", Image("superlink").text) == re.findall(r"flwr==[\d.]+", project)
    assert set(re.findall(r"torch==[\d.]+", Image("node").text)) == set(re.findall(r"torch==[\d.]+", project))

"""The proxy's rules: what passes, how large, and under what headers."""

from __future__ import annotations

import re

from django.conf import settings

from fedstudy_core import bundle
from studies.lifecycle.services import PROTOCOL_BYTES
from tests.deploy.description import ROOT

CONFIGURATION = (ROOT / "deploy/proxy/nginx.conf").read_text("utf-8")
MIB = 1024 * 1024


def server(port: int) -> str:
    """The server block that listens on `port`."""
    blocks = re.split(r"^  server \{$", CONFIGURATION, flags=re.MULTILINE)[1:]
    return next(block for block in blocks if re.search(rf"listen {port}\b", block))


def body_limit(port: int) -> int:
    found = re.search(r"client_max_body_size (\d+)m;", server(port))
    assert found
    return int(found[1]) * MIB


def test_the_fleet_door_passes_the_fleet_paths_only() -> None:
    fleet = server(9092)
    assert re.findall(r"location ([^{]+) \{\s+(?:#.*\s+)*(\S+)", fleet)[0] == ("/", "return")
    passed = re.findall(r"location \S+ (\S+) \{[^}]*?(?:\{[^}]*\}[^}]*?)*proxy_pass https://superlink;", fleet)
    assert passed == ["/v1/fleet/"]
    assert CONFIGURATION.count("https://superlink") == 1
    assert '$request_uri !~ "^/v1/fleet/[a-z-]+$"' in fleet


def test_every_fleet_address_of_flower_gets_through() -> None:
    from flwr.superlink.routers.fleet.router import router

    paths = [getattr(route, "path", "") for route in router.routes]
    assert paths
    assert [path for path in paths if not re.fullmatch("(/v1/fleet)?/[a-z-]+", path)] == []


def test_bodies_fit_and_no_more() -> None:
    from flwr.common.constant import FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE

    assert FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE + MIB <= body_limit(9092) <= 16 * MIB
    assert settings.FEDSTUDY_MAX_UPLOAD + MIB <= body_limit(8443) <= 16 * MIB


def test_the_portal_lets_in_what_bundles_and_protocols_may_have() -> None:
    assert settings.FEDSTUDY_MAX_UPLOAD == bundle.MAX_BYTES == PROTOCOL_BYTES


def test_browsers_are_told_to_stay_on_tls() -> None:
    for port in (8443, 9092):
        assert "Strict-Transport-Security" in server(port)
        assert f"listen {port} ssl" in CONFIGURATION
    assert "return 308 https://" in server(8080)
    assert "ssl_protocols TLSv1.3;" in server(9092)


def test_clients_cannot_say_where_they_come_from() -> None:
    portal = server(8443)
    passes = portal.count("proxy_pass http://portal;")
    assert passes == portal.count("proxy_set_header X-Forwarded-For $remote_addr;")
    assert passes == portal.count("proxy_set_header X-Forwarded-Proto https;")
    assert passes == portal.count('proxy_set_header X-Forwarded-Host "";')


def test_the_superlinks_certificate_is_checked() -> None:
    assert "proxy_ssl_verify on;" in server(9092)
    assert "proxy_ssl_name superlink;" in server(9092)

"""What the script and those who ran it stand on, as a software bill of materials: CycloneDX 1.6, JSON.

A script declares which packages it needs, mostly without exact versions; nodes report the version of their agent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import metadata
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from federation.dossiers.facts import Facts

AT_THE_CENTRE = ("fedstudy", "fedstudy-core", "flwr")
Json = dict[str, Any]


def bill_of(facts: Facts, dependencies: Sequence[str]) -> Json:
    """The bill: the script, what it declares, the agents of the run's nodes, and the platform's own parts."""
    version = facts.run.version
    script = {
        "type": "application",
        "bom-ref": "script",
        "name": version.script.name,
        "version": str(version.number),
        "hashes": [{"alg": "SHA-256", "content": version.sha256}],
    }
    declared = [_declared(text) for text in dict.fromkeys(dependencies)]
    agents = _agents(facts)
    centre = [item for name in AT_THE_CENTRE for item in _installed(name)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, f'{facts.run.pk}/{facts.made_at}')}",
        "version": 1,
        "metadata": {"timestamp": facts.made_at, "component": script},
        "components": [*declared, *agents, *centre],
        "dependencies": [
            {"ref": "script", "dependsOn": sorted({item["bom-ref"] for item in declared})},
        ],
    }


def _declared(text: str) -> Json:
    """A package as the script names it; its version where it names exactly one."""
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        return {
            "type": "library",
            "bom-ref": f"declared:{text}",
            "name": text,
            "properties": _properties(declared=text),
        }
    exact = [item.version for item in wanted.specifier if item.operator == "==" and not item.version.endswith("*")]
    return _library(f"declared:{text}", wanted.name, exact[0] if exact else "", declared=text)


def _agents(facts: Facts) -> list[Json]:
    """The agents by version, each with the nodes that reported it."""
    nodes: dict[str, list[str]] = {}
    for site in facts.sites:
        node = site["node"]
        nodes.setdefault(node["agent_version"], []).append(f"{site['site']} ({node['sandbox'] or 'no sandbox told'})")
    return [
        _library(f"node:{version}", "fedstudy-node", version, reported_by="; ".join(sorted(told)))
        for version, told in sorted(nodes.items())
    ]


def _installed(name: str) -> Iterator[Json]:
    """A part of the platform, where it is installed as a package."""
    with suppress(metadata.PackageNotFoundError):
        yield _library(f"centre:{name}", name, metadata.version(name), used="at the coordinating centre")


def _library(ref: str, name: str, version: str, **told: str) -> Json:
    address = f"pkg:pypi/{canonicalize_name(name)}" + (f"@{version}" if version else "")
    found: Json = {"type": "library", "bom-ref": ref, "name": name, "purl": address}
    return {**found, **({"version": version} if version else {}), "properties": _properties(**told)}


def _properties(**told: str) -> list[Json]:
    return [{"name": f"fedstudy:{name}", "value": value} for name, value in told.items()]

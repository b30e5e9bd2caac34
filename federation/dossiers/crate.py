"""The dossier as an RO-Crate 1.1 of the profile Workflow Run Crate 0.5: `ro-crate-metadata.json`.

The script is the workflow, the run is the action by it, its configuration the action's parameters. Written directly:
a crate's metadata is one JSON document, and the portal knows every part of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from federation.dossiers.facts import Facts
from federation.dossiers.items import BUNDLE, DOCUMENT, JSON, MODEL, Item

CRATE = "ro-crate-metadata.json"
CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
STATUS = {"completed": "CompletedActionStatus"}
# By which the dossier proves itself; what is in them is not known when the metadata is written.
PROOFS = {
    "entry.jsonl": "The log's own entry of this dossier, with its proof",
    "log/log.jsonl": "The study's part of the audit log",
    "log/checkpoint": "The log's signed checkpoint",
    "log/envelopes.jsonl": "The signed statements, revocations and receipts that the log names",
    "log/earlier.jsonl": "Checkpoints of before",
    "log/keys.json": "Keys of the log and of its witnesses",
    "log/manifest.json": "SHA-256 of the log's files",
}
Json = dict[str, Any]


def crate_of(facts: Facts, items: Sequence[Item]) -> Item:
    """The metadata that describes these files."""
    graph = [_descriptor(), _root(facts, items), *_profiles(), *_files(items), *_proofs(), *_context(facts, items)]
    text = json.dumps({"@context": CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False) + "\n"
    return Item(CRATE, text.encode("utf-8"), "What is in this dossier, as an RO-Crate", "application/ld+json")


def _ref(name: str) -> Json:
    return {"@id": name}


def _name(path: str) -> str:
    return quote(path)


def _descriptor() -> Json:
    conforms = [_ref("https://w3id.org/ro/crate/1.1"), _ref("https://w3id.org/workflowhub/workflow-ro-crate/1.0")]
    return {"@id": CRATE, "@type": "CreativeWork", "about": _ref("./"), "conformsTo": conforms}


def _root(facts: Facts, items: Sequence[Item]) -> Json:
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Run dossier: {facts.plan['label']}",
        "description": f"What was planned, approved, done and found in this run of the study “{facts.study['title']}”.",
        "datePublished": facts.made_at,
        "license": _ref("#terms"),
        "creator": _ref("#made-by"),
        "conformsTo": [_ref(name) for name in PROFILES],
        "mainEntity": _ref(BUNDLE),
        "mentions": _ref("#run"),
        "hasPart": [*(_ref(_name(item.path)) for item in items), *(_ref(name) for name in PROOFS)],
    }


def _profiles() -> Iterator[Json]:
    for name, title in PROFILES.items():
        yield {"@id": name, "@type": "CreativeWork", "name": title, "version": name.rpartition("/")[2]}


def _files(items: Sequence[Item]) -> Iterator[Json]:
    for item in items:
        told: Json = {
            "@id": _name(item.path),
            "@type": "File",
            "name": item.title,
            "encodingFormat": item.kind,
            "contentSize": str(len(item.content)),
            "sha256": item.sha256,
        }
        if item.path == DOCUMENT:
            told["about"] = _ref("./")
        if item.path == BUNDLE:
            continue
        yield told


def _proofs() -> Iterator[Json]:
    for path, title in PROOFS.items():
        kind = JSON if path.endswith(("json", "jsonl")) else "text/plain"
        yield {"@id": path, "@type": "File", "name": title, "encodingFormat": kind}


def _context(facts: Facts, items: Sequence[Item]) -> Iterator[Json]:
    plan = facts.plan
    yield _workflow(facts, items)
    yield {"@id": "#flower", "@type": "ComputerLanguage", "name": "Flower app (Python)", "url": "https://flower.ai"}
    yield _action(facts, items)
    for name, value in sorted(plan["configuration"].items()):
        parameter, given = f"#parameter/{quote(name)}", f"#value/{quote(name)}"
        kind = {bool: "Boolean", int: "Integer", float: "Float"}.get(type(value), "Text")
        yield {
            "@id": parameter, "@type": "FormalParameter", "name": name, "additionalType": kind,
            "workExample": _ref(given),
        }  # fmt: skip
        yield {
            "@id": given, "@type": "PropertyValue", "name": name, "value": str(value), "exampleOfWork": _ref(parameter),
        }  # fmt: skip
    yield {"@id": "#planned-by", "@type": "Person", "name": plan["planned_by"]}
    yield {"@id": "#made-by", "@type": "Person", "name": facts.made_by}
    for number, site in enumerate(facts.sites):
        yield {"@id": f"#site/{number}", "@type": "Organization", "name": site["site"]}
    yield {
        "@id": "#terms",
        "@type": "CreativeWork",
        "name": "For the study",
        "description": "For those who carry out, oversee and audit this study; no licence for other uses is given.",
    }


def _workflow(facts: Facts, items: Sequence[Item]) -> Json:
    bundle = next(item for item in items if item.path == BUNDLE)
    return {
        "@id": BUNDLE,
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": facts.plan["script"]["name"],
        "encodingFormat": bundle.kind,
        "contentSize": str(len(bundle.content)),
        "sha256": bundle.sha256,
        "programmingLanguage": _ref("#flower"),
        "input": [_ref(f"#parameter/{quote(name)}") for name in sorted(facts.plan["configuration"])],
        "hasPart": [_ref(_name(item.path)) for item in items if item.path.startswith("script/source/")],
    }


def _action(facts: Facts, items: Sequence[Item]) -> Json:
    plan, there = facts.plan, {item.path for item in items}
    results = [name for name in ("run/results.json", "model/card.json", "model/model.json", MODEL) if name in there]
    told: Json = {
        "@id": "#run",
        "@type": "CreateAction",
        "identifier": plan["id"],
        "name": plan["label"],
        "instrument": _ref(BUNDLE),
        "agent": _ref("#planned-by"),
        "participant": [_ref(f"#site/{number}") for number in range(len(facts.sites))],
        "object": [
            *(_ref(f"#value/{quote(name)}") for name in sorted(plan["configuration"])), _ref("data/datasets.json"),
        ],
        "result": [_ref(name) for name in results],
        "actionStatus": f"http://schema.org/{STATUS.get(plan['state'], 'FailedActionStatus')}",
    }  # fmt: skip
    times = {"startTime": plan["started_at"], "endTime": plan["ended_at"], "error": plan["reason"]}
    return told | {name: value for name, value in times.items() if value}

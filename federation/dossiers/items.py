"""The files of a dossier, but for those by which it proves itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from django.template.loader import render_to_string

from federation.dossiers.document import document_of
from federation.dossiers.facts import Facts
from federation.dossiers.pooled import FOLDER, consent_told, signed_files
from federation.dossiers.sbom import bill_of
from federation.dossiers.versions import Step, history_of
from fedstudy_core.analysis.project import PROJECT, read_project
from fedstudy_core.archives import read_archive
from fedstudy_core.canonical import digest

JSON, TEXT = "application/json", "text/plain"
BUNDLE, DOCUMENT = "script/bundle.fab", "dossier.html"
MODEL = "model/model.safetensors"
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,10}$")


@dataclass(frozen=True)
class Item:
    """A file: its place in the dossier, what it is in a few words, and its media type."""

    path: str
    content: bytes
    title: str
    kind: str = JSON

    @property
    def sha256(self) -> str:
        return digest(self.content)


def items_of(facts: Facts, model: bytes | None) -> list[Item]:
    """Every file that tells of the run, the document for people first.

    Args:
        model: the parameters, where they are released and the person may have them.
    """
    steps = history_of(facts.run.version)
    told = [*_plan(facts), *_script(facts, steps), *_consent(facts), *_outcome(facts)]
    if model is not None:
        told.append(Item(MODEL, model, "The released model", "application/octet-stream"))
    listed = [(item.path, item.title, item.sha256) for item in told]
    page = render_to_string("dossiers/dossier.html", document_of(facts, steps, listed, has_model=model is not None))
    return [Item(DOCUMENT, page.encode("utf-8"), "This dossier as a document", "text/html"), *told]


def _plan(facts: Facts) -> Iterator[Item]:
    yield _json("study.json", facts.study | {"protocols": facts.protocols}, "The study, and versions of its protocol")
    yield _json("run/plan.json", facts.plan, "The run's plan, configuration and times")
    if facts.protocol:
        ending = _ENDING.search(facts.protocol.filename)
        path = f"protocol/protocol-v{facts.protocol.number}{ending.group() if ending else ''}"
        yield Item(path, bytes(facts.protocol.content), "The study's protocol", "application/octet-stream")
    if facts.dictionary:
        found = facts.dictionary
        value = {"number": found.number, "sha256": found.sha256, "variables": found.variables}
        yield _json("data/dictionary.json", value, "The data dictionary")
    yield _json("data/datasets.json", _datasets(facts), "Datasets by fingerprint and band of rows")


def _datasets(facts: Facts) -> list[dict[str, Any]]:
    return [{"site": item["site"], "level": item["level"], "dataset": item["dataset"]} for item in facts.sites]


def _script(facts: Facts, steps: list[Step]) -> Iterator[Item]:
    bundle = bytes(facts.run.version.bundle)
    yield Item(BUNDLE, bundle, "The script as sites signed and ran it", "application/zip")
    sources = read_archive(bundle)
    for path, content in sources.items():
        yield Item(f"script/source/{path}", content, "A file of the script", TEXT)
    history = [{**asdict(step), "diff": step.path} for step in steps]
    yield _json("script/versions.json", history, "The script's versions up to this one")
    for step in steps:
        if step.path:
            yield Item(step.path, step.diff.encode("utf-8"), f"What version {step.number} changed", "text/x-diff")
    bill = bill_of(facts, read_project(sources.get(PROJECT, b"")).dependencies)
    yield _json("script/sbom.cdx.json", bill, "Software bill of materials", "application/vnd.cyclonedx+json")


def _consent(facts: Facts) -> Iterator[Item]:
    yield _json("approvals/approvals.json", facts.approvals, "Every site's statements on this version of the script")
    envelopes = {item.statement_id: bytes(item.envelope) for item in facts.run.version.approvals.all()}
    for told in facts.approvals:
        title = f"{told['site']}: “{told['meaning']}”, as it was signed"
        yield Item(told["file"], envelopes[told["statement"]], title)
    if facts.consents:
        told_of = [consent_told(item) for item in facts.consents]
        yield _json(f"{FOLDER}/consents.json", told_of, "Sites' consents to the pooling of rows behind the model")
    for behind in facts.consents:
        for path, (content, title) in signed_files(behind.consent).items():
            yield Item(path, content, title)
    yield _json("run/sites.json", facts.sites, "The sites in the run, and what their approvals ask for")


def _outcome(facts: Facts) -> Iterator[Item]:
    yield _json("run/rounds.json", facts.rounds, "Every round: who took part, and who did not and why")
    yield _json("run/results.json", facts.results, "Results by site and of all sites")
    if facts.card:
        yield _json("model/card.json", facts.card, "The model card")
    yield _json("model/model.json", facts.model, "The model's hash and arrays, and requests to release it")


def _json(path: str, value: Any, title: str, kind: str = JSON) -> Item:
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    return Item(path, text.encode("utf-8"), title, kind)

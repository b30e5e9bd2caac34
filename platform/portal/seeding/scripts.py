"""Scripts of the studies: versions, what sites signed of them, and questions on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from federation.library.catalogue import ready_script
from fedstudy_core import bundle
from fedstudy_core.analysis import EDITION, analyse
from fedstudy_core.archives import read_archive
from fedstudy_core.keys import key_id, public_from_text
from fedstudy_core.statement import Statement, sign_statement, statement_id
from fedstudy_core.times import format_time
from portal.seeding.copying import Chance, Row, copy
from portal.seeding.shape import Shape
from portal.seeding.studies import Part, SeededStudy
from studies.scripts.models import Approval, ReviewComment, ReviewThread, Script, ScriptVersion

LIBRARY_SCRIPT = "heart_disease"
VALIDITY = timedelta(days=180)


@dataclass(frozen=True)
class Bundled:
    """One version of the library's script as a bundle, described as `studies.scripts` describes it."""

    content: bytes
    inspected: bundle.Bundle
    findings: list[dict[str, Any]]


@dataclass(frozen=True)
class SeededVersion:
    """A version of a study's script, with the approvals of the study's ready sites."""

    id: UUID
    number: int
    at: datetime
    bundled: Bundled
    approvals: dict[UUID, UUID]


@dataclass
class SeededScript:
    """A study's script."""

    id: UUID
    study: SeededStudy
    versions: list[SeededVersion] = field(default_factory=list)


@cache
def bundled(number: int) -> Bundled:
    """The library's script, with the version `<number>.0.0`."""
    ready = ready_script(LIBRARY_SCRIPT)
    files = dict(bundle.source_files(ready.source))
    project = files["pyproject.toml"].replace(f'"{ready.version}"'.encode(), f'"{number}.0.0"'.encode())
    content = bundle.build(files | {"pyproject.toml": project})
    findings = [finding.as_json() for finding in analyse(read_archive(content))]
    return Bundled(content, bundle.inspect(content), findings)


def make_scripts(shape: Shape, studies: list[SeededStudy]) -> list[SeededScript]:
    """One script a study, each version newer than the one before."""
    chance = Chance("scripts")
    return [_script(chance, study, shape.versions_per_study) for study in studies]


def _script(chance: Chance, study: SeededStudy, versions: int) -> SeededScript:
    script = SeededScript(chance.id(), study)
    for number in range(1, versions + 1):
        approvals = {part.enrolment: chance.id() for part in study.ready}
        at = study.since + timedelta(days=3 + number)
        script.versions.append(SeededVersion(chance.id(), number, at, bundled(number), approvals))
    return script


def write_scripts(scripts: list[SeededScript]) -> None:
    """Scripts, their versions and the approvals of all ready sites."""
    rows = ((script.id, script.study.id, script.study.pi.id, script.study.since) for script in scripts)
    copy(Script, ("id", "study_id", "created_by_id", "created_at"), rows, name="Heart disease")
    names = (
        "id", "script_id", "number", "replaces_id", "submitted_at", "created_by_id", "sha256", "size", "bundle",
        "files", "parameters", "default_config", "declaration", "findings",
    )  # fmt: skip
    copy(ScriptVersion, names, _versions(scripts), edition=EDITION)
    names = (
        "id", "version_id", "site_id", "node_id", "dataset_id", "envelope", "statement", "statement_id", "signed_at",
        "not_before", "not_after", "approver_name", "key_id", "recorded_at",
    )  # fmt: skip
    copy(Approval, names, _approvals(scripts), decision="approved", approver_role="site admin")


def _versions(scripts: list[SeededScript]) -> Iterator[Row]:
    described: dict[int, Row] = {}
    for script in scripts:
        before = None
        for version in script.versions:
            told = described.setdefault(version.number, _described(version.bundled))
            yield (version.id, script.id, version.number, before, version.at, script.study.pi.id, *told)
            before = version.id


def _described(made: Bundled) -> Row:
    found = made.inspected
    files = [{"path": file.path, "sha256": file.sha256, "size": file.size} for file in found.files]
    parameters = [parameter.model_dump(mode="json") for parameter in found.parameters]
    told = (files, parameters, dict(found.default_config), found.declaration.model_dump(mode="json"), made.findings)
    return (found.sha256, found.size, made.content, *map(Jsonb, told))


def _approvals(scripts: list[SeededScript]) -> Iterator[Row]:
    for script in scripts:
        for version in script.versions:
            for number, part in enumerate(script.study.ready):
                yield _approval(script.study, version, part, version.number * 1_000 + number)


def _approval(study: SeededStudy, version: SeededVersion, part: Part, sequence: int) -> Row:
    """In the order of write_scripts' columns; signed by the site's key as its node would."""
    site, begin = part.site, version.at.replace(microsecond=0)
    statement = _statement(study, version, part, sequence)
    envelope = sign_statement(statement, site.approval_key)
    told = Jsonb(statement.model_dump(mode="json", exclude_none=True))
    named = (version.approvals[part.enrolment], version.id, site.id, str(site.node), part.dataset)
    signed = (begin, begin, begin + VALIDITY, site.admin.name, statement.approvers[0].key, begin)
    return (*named, envelope, told, statement_id(envelope), *signed)


def _statement(study: SeededStudy, version: SeededVersion, part: Part, sequence: int) -> Statement:
    site, begin = part.site, version.at.replace(microsecond=0)
    signer = key_id(public_from_text(site.keys.approval_key))
    return Statement.model_validate(
        {
            "v": 1,
            "study": str(study.id),
            "site": str(site.id),
            "node": str(site.node),
            "script": {"sha256": version.bundled.inspected.sha256, "size": version.bundled.inspected.size},
            "dataset": {"id": str(part.dataset), "fingerprint": part.fingerprint},
            "run_config": {},
            "rounds": 500,
            "privacy": {"min_sites": 1},
            "outputs": {"phases": ["query", "train", "evaluate"], "max_bytes": 1_000_000},
            "limits": {"wall_s": 600, "memory_mb": 1024},
            "sandbox_min": "S0",
            "meaning": "approved",
            "approvers": [{"key": signer, "name": site.admin.name, "role": "site admin"}],
            "nonce": f"{part.enrolment.hex[:24]}",
            "sequence": sequence,
            "revocation_epoch": 0,
            "issued_at": format_time(begin),
            "not_before": format_time(begin),
            "not_after": format_time(begin + VALIDITY),
        }
    )


def write_threads(shape: Shape, scripts: list[SeededScript]) -> None:
    """Questions on every version, each asked by a site's admin."""
    chance = Chance("threads")
    asked = [
        (chance.id(), version, script.study.ready[number % len(script.study.ready)].site)
        for script in scripts
        for version in script.versions
        for number in range(shape.threads)
    ]
    rows: Iterator[Row] = ((key, version.id, site.id, site.admin.id, version.at) for key, version, site in asked)
    copy(ReviewThread, ("id", "version_id", "site_id", "opened_by_id", "opened_at"), rows, kind="question")
    rows = ((chance.id(), key, site.admin.id, site.name, version.at) for key, version, site in asked)
    names = ("id", "thread_id", "author_id", "speaks_for", "written_at")
    copy(ReviewComment, names, rows, text="Which rows does the script read? (synthetic)")

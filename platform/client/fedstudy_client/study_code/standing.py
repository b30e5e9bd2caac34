"""What the portal has of a study at one moment."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from fedstudy_client.client import FedStudy
from fedstudy_client.extras import with_extra
from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.records import Approval, Dataset, Enrolment, Run, Script, Study, Version
from fedstudy_client.study_code.model import ScriptSource
from fedstudy_client.study_code.reading import StudyCode

LEADING = ("pi", "co_investigator")


@dataclass(frozen=True)
class SubmittedScript:
    """A script at the portal: its versions, newest first, and the one that is what the file describes, if there is."""

    script: Script | None = None
    versions: Sequence[Version] = ()
    version: Version | None = None


@dataclass(frozen=True)
class Standing:
    """A study at the portal; without a study everything is empty.

    Attributes:
        people: e-mail address in lower case and role.
        enrolments, datasets: by the site's name; of datasets the newest.
        scripts: by the name in the file.
        approvals: the newest statement about a version, by version's id and site's name.
        runs: with all their details, newest first, by label.
    """

    study: Study | None = None
    people: frozenset[tuple[str, str]] = frozenset()
    protocol_sha256: str = ""
    variables: list[dict[str, Any]] | None = None
    enrolments: Mapping[str, Enrolment] = field(default_factory=dict)
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    scripts: Mapping[str, SubmittedScript] = field(default_factory=dict)
    approvals: Mapping[tuple[str, str], Approval] = field(default_factory=dict)
    runs: Mapping[str, Sequence[Run]] = field(default_factory=dict)

    def has_signed(self, version: Version, site: str) -> bool:
        """Whether a site's approval of a version is in force."""
        approval = self.approvals.get((version.id, site))
        return (
            approval is not None
            and approval.decision == "approved"
            and approval.state == "valid"
            and approval.not_after > datetime.now(UTC)
        )


class Sources:
    """The scripts of the file, read once: bundles from files and folders, the portal's library."""

    def __init__(self, code: StudyCode, portal: FedStudy) -> None:
        self._code = code
        self._portal = portal
        self._bundles: dict[str, bytes] = {}

    def bundle(self, name: str) -> bytes:
        """The bundle of a script that the file has as .fab or as folder.

        Raises:
            FedStudyProblem: E_EXTRA where a folder is given and what builds bundles is not installed; E_BUNDLE_*.
        """
        if name not in self._bundles:
            path = self._code.bundles[name]
            self._bundles[name] = build(path) if path.is_dir() else path.read_bytes()
        return self._bundles[name]

    @cached_property
    def library(self) -> dict[str, str]:
        """The versions of the portal's ready scripts, by name."""
        return {script.name: script.version for script in self._portal.scripts.library()}

    @cached_property
    def strategy_defaults(self) -> dict[str, dict[str, Any]]:
        """The defaults of every strategy's parameters, by strategy."""
        return {
            item["name"]: {parameter["name"]: parameter["default"] for parameter in item["parameters"]}
            for item in self._portal.runs.strategies()
        }

    def check(self) -> None:
        """Read all of them, so that what is wrong shows before anything is done. Raises FedStudyProblem."""
        for script in self._code.described.scripts:
            if script.library is None:
                self.bundle(script.name)
            elif script.library not in self.library:
                known = ", ".join(self.library) or "none"
                detail = f"The portal's library has no script “{script.library}”; it has {known}."
                raise FedStudyProblem("E_NOT_FOUND", detail)

    def version_of(self, source: ScriptSource, versions: Sequence[Version]) -> Version | None:
        """The version that is what the file describes: by its hash, or of the library's script by its own number."""
        if source.library is None:
            wanted = hashlib.sha256(self.bundle(source.name)).hexdigest()
            return next((version for version in versions if version.sha256 == wanted), None)
        newest = next((version for version in versions if version.state == "submitted"), None)
        if newest is None:
            return None
        about = tomllib.loads(self._portal.versions.file(newest, "pyproject.toml").decode("utf-8"))["project"]
        same_name = about["name"].replace("-", "_") == source.library.replace("-", "_")
        return newest if same_name and about["version"] == self.library.get(source.library) else None


def build(folder: Path) -> bytes:
    """A bundle from a Flower app's folder.

    Raises:
        FedStudyProblem: E_EXTRA, E_BUNDLE_*.
    """
    bundles = with_extra("fedstudy_client.rehearsal.bundles")
    content: bytes = bundles.build(folder).content
    return content


def look(portal: FedStudy, code: StudyCode, sources: Sources) -> Standing:
    """What the portal has of the file's study. Raises FedStudyProblem (E_AMBIGUOUS among others)."""
    study = _study(portal, code)
    if study is None:
        return Standing()
    enrolments = {item.site.name: item for item in portal.enrolments.list(study)}
    scripts = _scripts(portal, code, study, sources)
    labels = {run.label for run in code.described.runs}
    runs: dict[str, list[Run]] = {}
    for run in portal.runs.list(study):
        if run.label in labels:
            runs.setdefault(run.label, []).append(portal.runs.get(run))
    return Standing(
        study=study,
        people=frozenset((item.user.email.lower(), item.role) for item in portal.studies.people(study)),
        protocol_sha256=_protocol_sha256(portal, study),
        variables=_variables(portal, study),
        enrolments=enrolments,
        datasets={item.site.name: item for item in reversed(portal.datasets.list(study))},
        scripts=scripts,
        approvals={
            (found.version.id, approval.site.name): approval
            for found in scripts.values()
            if found.version is not None
            for approval in reversed(portal.approvals.list(found.version))
        },
        runs=runs,
    )


def _study(portal: FedStudy, code: StudyCode) -> Study | None:
    words = code.described.study
    if words.id is not None:
        return portal.studies.get(words.id)
    mine = {item["id"] for item in portal.me().roles if item["kind"] == "study" and item["role"] in LEADING}
    live = [study for study in portal.studies.list() if study.state != "archived"]
    found = [study for study in live if study.title == words.title and study.id in mine]
    if len(found) > 1:
        ids = ", ".join(study.id for study in found)
        raise FedStudyProblem("E_AMBIGUOUS", f"You lead more than one study of this title; name one by `id`: {ids}.")
    return found[0] if found else None


def _scripts(portal: FedStudy, code: StudyCode, study: Study, sources: Sources) -> dict[str, SubmittedScript]:
    at_portal = {script.name.casefold(): script for script in portal.scripts.list(study)}
    scripts = {}
    for source in code.described.scripts:
        script = at_portal.get(source.name.casefold())
        versions = portal.versions.list(script) if script else []
        scripts[source.name] = SubmittedScript(script, versions, sources.version_of(source, versions))
    return scripts


def _protocol_sha256(portal: FedStudy, study: Study) -> str:
    try:
        return portal.studies.protocol(study).sha256
    except FedStudyProblem as problem:
        if problem.code != "E_NOT_FOUND":
            raise
        return ""


def _variables(portal: FedStudy, study: Study) -> list[dict[str, Any]] | None:
    try:
        return portal.dictionary.get(study).variables
    except FedStudyProblem as problem:
        if problem.code != "E_NOT_FOUND":
            raise
        return None

"""Studies, scripts and runs by the names that people know them by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from fedstudy_client.client import FedStudy
from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.records import Enrolment, Run, Script, Study, Version

Found = TypeVar("Found")


def find_study(portal: FedStudy, name: str | None = None) -> Study:
    """A study by id, slug or title; without a name the only one there is.

    Raises:
        FedStudyProblem: E_NOT_FOUND, E_AMBIGUOUS.
    """
    if name is not None and is_id(name):
        return portal.studies.get(name)
    studies = portal.studies.list()
    if name is None:
        return _only(studies, "study", [study.slug for study in studies])
    wanted = [study for study in studies if name.casefold() in (study.slug.casefold(), study.title.casefold())]
    return _only(wanted, f"study “{name}”", [study.slug for study in wanted])


def find_enrolment(portal: FedStudy, study: Study, site: str | None = None) -> Enrolment:
    """A site's part in a study, by the site's name; without one the only site. Raises as `find_study`."""
    enrolments: Sequence[Enrolment] = portal.enrolments.list(study)
    if site is not None:
        enrolments = [item for item in enrolments if site.casefold() in (item.site.name.casefold(), item.site.id)]
    return _only(enrolments, f"site “{site}”" if site else "site", [item.site.name for item in enrolments])


def find_script(portal: FedStudy, study: Study, name: str | None = None) -> Script:
    """A study's script by id or name; without a name the only one. Raises FedStudyProblem as `find_study`."""
    scripts: Sequence[Script] = portal.scripts.list(study)
    if name is not None:
        scripts = [script for script in scripts if name.casefold() in (script.id, script.name.casefold())]
    return _only(scripts, f"script “{name}”" if name else "script", [script.name for script in scripts])


def newest_version(portal: FedStudy, script: Script, number: int | None = None) -> Version:
    """A script's newest version that was not taken back, or the one of that number.

    Raises:
        FedStudyProblem: E_NOT_FOUND.
    """
    for version in portal.versions.list(script):
        if version.number == number or (number is None and version.state == "submitted"):
            return version
    which = "version that is not taken back" if number is None else f"version {number}"
    raise FedStudyProblem("E_NOT_FOUND", f"“{script.name}” has no {which}.")


def find_run(portal: FedStudy, name: str, study: str | None = None) -> Run:
    """A run by id or label; labels are looked for in one study, or in all that one may see.

    Raises:
        FedStudyProblem: E_NOT_FOUND, E_AMBIGUOUS.
    """
    if is_id(name):
        return portal.runs.get(name)
    studies = portal.studies.list() if study is None else [find_study(portal, study)]
    runs = [run for place in studies for run in portal.runs.list(place) if run.label.casefold() == name.casefold()]
    return portal.runs.get(_only(runs, f"run “{name}”", [run.id for run in runs]))


def is_id(text: str) -> bool:
    """Whether the text is an id of the portal's."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _only(found: Sequence[Found], what: str, names: Sequence[str]) -> Found:
    if not found:
        raise FedStudyProblem("E_NOT_FOUND", f"There is no {what}, or it is not yours to see.")
    if len(found) > 1:
        raise FedStudyProblem("E_AMBIGUOUS", f"There is more than one {what}; say which: {', '.join(names)}.")
    return found[0]

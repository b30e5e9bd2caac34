"""What is between a study's file and the portal: one step for each thing, in the order in which they are done."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any, Literal

from fedstudy_client.client import FedStudy
from fedstudy_client.problem import FedStudyProblem, FieldProblem
from fedstudy_client.records import Dataset, Enrolment, Study
from fedstudy_client.study_code.model import InvitedSite, ScriptSource
from fedstudy_client.study_code.reading import StudyCode
from fedstudy_client.study_code.standing import Sources, Standing

Action = Literal["create", "change", "start", "wait", "nothing", "problem"]
TAKING_PART = ("invited", "accepted", "ready")
SHOWN = 60
EDITABLE = ("draft", "recruiting", "active")


@dataclass(frozen=True)
class Step:
    """One thing of the file and what becomes of it.

    Attributes:
        part: "study", "person", "protocol", "dictionary", "site", "script" or "run".
        do: what has to be done now; None where nothing has, or something else comes first.
        code: of a problem, which has to be solved before anything is done.
    """

    action: Action
    part: str
    name: str
    detail: str = ""
    do: Callable[[], Any] | None = None
    code: str = ""

    def as_json(self) -> dict[str, str]:
        """As plain values."""
        told = {"action": self.action, "part": self.part, "name": self.name, "detail": self.detail}
        return told | ({"code": self.code} if self.code else {})


@dataclass(frozen=True)
class Comparing:
    """The file, the portal, and what the portal has."""

    code: StudyCode
    portal: FedStudy
    sources: Sources
    standing: Standing

    def study(self) -> Study:
        """The study at the portal, where there is one."""
        if self.standing.study is None:
            raise RuntimeError("there is no study yet")
        return self.standing.study

    def draft_steps(self) -> list[Step]:
        """The steps of a draft: words, people, protocol, dictionary."""
        return [*self._words(), *self._people(), *self._protocol(), *self._dictionary()]

    def site_steps(self) -> Iterator[Step]:
        """A step that opens the study for sites where it is needed, and one for each site."""
        study = self.standing.study
        invited = [self._site(site) for site in self.code.described.sites]
        if study is not None and study.state == "draft" and invited:
            complete = not any(step.do for step in self.draft_steps())
            do = (lambda: self.portal.studies.transition(study, "recruiting")) if complete else None
            yield Step("change", "study", study.title, "draft → recruiting, so that sites can be invited", do)
        yield from invited

    def script_steps(self) -> Iterator[Step]:
        """A step for each script."""
        return map(self._script, self.code.described.scripts)

    def _ready(self, do: Callable[[Study], Any]) -> Callable[[], Any] | None:
        """Something to do as soon as there is a study."""
        study = self.standing.study
        return None if study is None else lambda: do(study)

    def _words(self) -> Iterator[Step]:
        words, study = self.code.described.study, self.standing.study
        given = {"title": words.title, "summary": words.summary, "aims": words.aims}
        text = {name: value.strip() for name, value in given.items() if value is not None}
        if study is None:
            yield Step("create", "study", words.title, do=lambda: self.portal.studies.create(**text))
            return
        changed = {name: value for name, value in text.items() if value != study.raw[name]}
        if not changed:
            yield Step("nothing", "study", study.title, study.state)
        elif study.state not in EDITABLE:
            yield Step("problem", "study", study.title, f"It is {study.state}; its words stay.", code="E_STATE")
        else:
            update = self._ready(lambda found: self.portal.studies.update(found, **changed))
            told = "; ".join(f"{name}: “{_short(study.raw[name])}” → “{_short(changed[name])}”" for name in changed)
            yield Step("change", "study", study.title, told, update)

    def _people(self) -> Iterator[Step]:
        for person in self.code.described.people:
            if (person.email.lower(), person.role) in self.standing.people:
                yield Step("nothing", "person", person.email, person.role)
                continue
            add = self._ready(partial(self.portal.studies.add_person, user=person.email, role=person.role))
            yield Step("create", "person", person.email, person.role, add)

    def _protocol(self) -> Iterator[Step]:
        if self.code.protocol is None:
            return
        name, content = self.code.protocol
        if hashlib.sha256(content).hexdigest() == self.standing.protocol_sha256:
            yield Step("nothing", "protocol", name)
            return
        action: Action = "change" if self.standing.protocol_sha256 else "create"
        path = self.code.file.parent / str(self.code.described.study.protocol)
        yield Step(
            action, "protocol", name, do=self._ready(lambda study: self.portal.studies.add_protocol(study, path))
        )

    def _dictionary(self) -> Iterator[Step]:
        wanted, published = self.code.variables, self.standing.variables
        if wanted is None:
            return
        name = f"{len(wanted)} variables"
        if wanted == published:
            yield Step("nothing", "dictionary", name)
            return
        detail = "" if published is None else "a new version: sites check their data against it again"
        publish = self._ready(lambda study: self.portal.dictionary.set(study, wanted))
        yield Step("create" if published is None else "change", "dictionary", name, detail, publish)

    def _site(self, site: InvitedSite) -> Step:
        enrolment = self.standing.enrolments.get(site.name)
        if enrolment is None:
            study = self.standing.study
            open_now = study is not None and study.state in ("recruiting", "active")
            do = (lambda: self._invite(site)) if open_now else None
            return Step("create", "site", site.name, f"invite at {site.level}", do)
        if enrolment.state not in TAKING_PART:
            reason = f": {enrolment.raw['reason']}" if enrolment.raw.get("reason") else ""
            detail = (
                f"It has {enrolment.state}{reason}. Take it out of the file, or invite it again on the study's page."
            )
            return Step("nothing", "site", site.name, detail)
        if self.study().state not in EDITABLE:
            return Step("nothing", "site", site.name, enrolment.state)
        missing = self.missing_at(enrolment)
        told = missing or enrolment.state
        if enrolment.level != site.level:
            told = f"{told.rstrip('.')}. It takes part at {enrolment.level}: a site chooses its level itself."
        return Step("wait" if missing else "nothing", "site", site.name, told)

    def missing_at(self, enrolment: Enrolment) -> str:
        """What a site still has to do itself, as a sentence; "" for nothing."""
        if enrolment.state == "invited":
            return "It has not answered the invitation."
        if enrolment.state == "accepted":
            return _without_data(self.standing.datasets.get(enrolment.site.name))
        unsigned = [
            self._unsigned(name, enrolment.site.name)
            for name in dict.fromkeys(
                run.script
                for run in self.code.described.runs
                if enrolment.site.name in self.code.sites_of(run) and not self._is_made(run.label)
            )
        ]
        return " ".join(filter(None, unsigned))

    def _is_made(self, label: str) -> bool:
        """Whether there is a run of that label that has begun: nobody has to sign for it any more."""
        return any(run.state != "draft" for run in self.standing.runs.get(label, ()))

    def _unsigned(self, script: str, site: str) -> str:
        version = self.standing.scripts[script].version
        if version is None or self.standing.has_signed(version, site):
            return ""
        name = f"“{script}” v{version.number}"
        statement = self.standing.approvals.get((version.id, site))
        if statement is None:
            return f"It has not signed {name}."
        if statement.decision == "rejected":
            return f"It has rejected {name}."
        return f"Its approval of {name} is over."

    def _invite(self, site: InvitedSite) -> None:
        invitable = self.portal.sites.invitable(self.study())
        chosen = [item for item in invitable if item.name == site.name]
        if len(chosen) != 1:
            near = [item.name for item in invitable if item.short_name == site.name]
            near = near or get_close_matches(site.name, [item.name for item in invitable], n=3, cutoff=0.4)
            hint = f" Do you mean {' or '.join(near)}?" if near else ""
            raise FedStudyProblem("E_SITE", f"The portal knows no site “{site.name}” that could be invited.{hint}")
        self.portal.enrolments.invite(self.study(), chosen[0], level=site.level)

    def _script(self, source: ScriptSource) -> Step:
        found = self.standing.scripts.get(source.name)
        if found is not None and found.version is not None:
            number, state = found.version.number, found.version.state
            if state != "submitted":
                return Step("problem", "script", source.name, f"Version {number} is {state}.", code="E_STATE")
            return Step("nothing", "script", source.name, f"v{number}, {found.version.sha256[:12]}")
        origin = f"{source.library} of the library" if source.library else str(source.path)
        detail = f"a new version from {origin}: sites sign anew" if found and found.versions else f"from {origin}"
        action: Action = "change" if found and found.versions else "create"
        return Step(action, "script", source.name, detail, self._ready(lambda study: self._submit(study, source)))

    def _submit(self, study: Study, source: ScriptSource) -> None:
        found = self.standing.scripts[source.name].script
        script = found or self.portal.scripts.create(study, name=source.name)
        options = {"replaces_previous": source.replaces_previous}
        if source.library is not None:
            self.portal.versions.from_library(script, source.library, **options)
        else:
            self.portal.versions.upload(script, self.sources.bundle(source.name), **options)


def _short(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


def _without_data(dataset: Dataset | None) -> str:
    """What is missing of a site that takes part and is not ready."""
    if dataset is None or dataset.state == "withdrawn":
        return "It has not offered a dataset."
    findings = [item for item in dataset.report.get("findings", ()) if item["severity"] == "error"]
    if dataset.report.get("passed", False) or not findings:
        return f"Its dataset “{dataset.name}” is not checked against the newest dictionary."
    some = "; ".join(_finding(item) for item in findings[:3])
    more = f" and {len(findings) - 3} more" if len(findings) > 3 else ""
    return f"Its dataset “{dataset.name}” does not fit the dictionary: {some}{more}."


def _finding(item: Mapping[str, Any]) -> str:
    return f"{item['variable'] or 'the table'}: {item['detail'].rstrip('.')}"


def raise_problems(steps: list[Step]) -> None:
    """Stop where a step is a problem. Raises FedStudyProblem with the code of the first."""
    problems = [step for step in steps if step.action == "problem"]
    if problems:
        fields = tuple(FieldProblem(f"{step.part} “{step.name}”", step.code, step.detail) for step in problems)
        raise FedStudyProblem(problems[0].code, "The file cannot be applied.", errors=fields)

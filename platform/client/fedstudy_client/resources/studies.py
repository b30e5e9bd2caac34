"""Studies, and what belongs to their design: people, protocol, dictionary, enrolments, datasets."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedstudy_client.listing import Records
from fedstudy_client.records import (
    Dataset,
    Dictionary,
    DictionaryDraft,
    DictionaryReading,
    Enrolment,
    Member,
    Protocol,
    SetUp,
    Study,
)
from fedstudy_client.resources.base import Ref, Resource, id_of


class Studies(Resource):
    """Studies."""

    def list(self) -> Records[Study]:
        """The studies that one may see, newest first."""
        return Records(Study.read(row) for row in self._http.each("studies"))

    def get(self, study: Ref) -> Study:
        """One study."""
        return Study.read(self._http.get(f"studies/{id_of(study)}"))

    def create(self, *, title: str, summary: str = "", aims: str = "") -> Study:
        """Make a study and become its principal investigator."""
        return Study.read(self._http.post("studies", {"title": title, "summary": summary, "aims": aims}))

    def update(self, study: Ref, **changes: str) -> Study:
        """Change title, summary or aims."""
        return Study.read(self._http.patch(f"studies/{id_of(study)}", changes))

    def transition(self, study: Ref, to: str) -> Study:
        """Move the study: draft -> recruiting -> active -> closed -> archived."""
        return Study.read(self._http.post(f"studies/{id_of(study)}/transition", {"to": to}))

    def degree(self, study: Ref) -> dict[str, Any]:
        """The share of the study's rows that stay at their hospitals, by site and over time."""
        return self._http.get(f"studies/{id_of(study)}/degree")

    def set_up(self, study: Ref) -> SetUp:
        """How far the study is set up, and what it lacks before sites take part."""
        return SetUp.read(self._http.get(f"studies/{id_of(study)}/set-up"))

    def invite_first(self, study: Ref, sites: Sequence[Ref], *, level: str = "F2") -> SetUp:
        """Open recruitment, where the study is still a draft, and invite sites: all of them or none."""
        body = {"sites": [id_of(site) for site in sites], "level": level}
        return SetUp.read(self._http.post(f"studies/{id_of(study)}/set-up", body))

    def without_investigator(self) -> builtins.list[tuple[str, str]]:
        """Ids and titles of the studies to which an administrator may appoint a principal investigator."""
        return [(row["id"], row["name"]) for row in self._http.each("studies/without-investigator")]

    def people(self, study: Ref) -> Records[Member]:
        """Who holds which role in the study."""
        return Records(Member.read(row) for row in self._http.each(f"studies/{id_of(study)}/people"))

    def add_person(self, study: Ref, *, user: str, role: str) -> Member:
        """Give a role ("pi", "co_investigator", "auditor") to a person, named by id or e-mail address."""
        return Member.read(self._http.post(f"studies/{id_of(study)}/people", {"user": user, "role": role}))

    def remove_person(self, study: Ref, *, user: Ref, role: str) -> None:
        """Take a role back."""
        self._http.delete(f"studies/{id_of(study)}/people/{id_of(user)}/{role}")

    def add_protocol(self, study: Ref, file: Path | str) -> Protocol:
        """Upload a new version of the protocol: PDF, DOCX without macros, ODT, or text in UTF-8; else E_PROTOCOL."""
        path = Path(file)
        answer = self._http.upload(f"studies/{id_of(study)}/protocol", "file", path.name, path.read_bytes())
        return Protocol.read(answer)

    def protocol(self, study: Ref) -> Protocol:
        """The newest version of the protocol."""
        return Protocol.read(self._http.get(f"studies/{id_of(study)}/protocol"))

    def protocol_file(self, study: Ref) -> bytes:
        """The newest version of the protocol document itself."""
        return self._http.download(f"studies/{id_of(study)}/protocol/file")


class Dictionaries(Resource):
    """Data dictionaries."""

    def get(self, study: Ref) -> Dictionary:
        """The study's newest data dictionary."""
        return Dictionary.read(self._http.get(f"studies/{id_of(study)}/dictionary"))

    def set(self, study: Ref, variables: Sequence[dict[str, Any]]) -> Dictionary:
        """Publish a new version of the data dictionary."""
        return Dictionary.read(self._http.post(f"studies/{id_of(study)}/dictionary", {"variables": list(variables)}))

    def draft(self, study: Ref) -> DictionaryDraft:
        """The next data dictionary as far as it is written; revision 0 is the newest version as it stands."""
        return DictionaryDraft.read(self._http.get(f"studies/{id_of(study)}/dictionary/draft"))

    def save_draft(
        self, study: Ref, variables: Sequence[dict[str, Any]], *, revision: int | None = None
    ) -> DictionaryDraft:
        """Put variables in the draft's place; with `revision`, only where the draft is still that one."""
        body: dict[str, Any] = {"variables": list(variables)}
        body |= {} if revision is None else {"revision": revision}
        return DictionaryDraft.read(self._http.put(f"studies/{id_of(study)}/dictionary/draft", body))

    def discard_draft(self, study: Ref) -> None:
        """Forget the draft."""
        self._http.delete(f"studies/{id_of(study)}/dictionary/draft")

    def publish_draft(self, study: Ref, *, revision: int) -> Dictionary:
        """Publish the draft of this revision as a new version; refused where it is another, or was overtaken."""
        body = {"revision": revision}
        return Dictionary.read(self._http.post(f"studies/{id_of(study)}/dictionary/draft/publish", body))

    def read_file(self, file: Path | str) -> DictionaryReading:
        """Read a dictionary from a file (our own table, REDCap's data dictionary, or JSON); nothing is saved."""
        path = Path(file)
        return DictionaryReading.read(self._http.upload("dictionaries/read", "file", path.name, path.read_bytes()))

    def table(self, study: Ref) -> bytes:
        """The newest data dictionary as CSV."""
        return self._http.download(f"studies/{id_of(study)}/dictionary/file")


class Enrolments(Resource):
    """Sites in studies."""

    def list(self, study: Ref | None = None) -> Records[Enrolment]:
        """The study's enrolments; without a study, all that one may see (a site's invitations among them)."""
        path = "enrolments" if study is None else f"studies/{id_of(study)}/enrolments"
        return Records(Enrolment.read(row) for row in self._http.each(path))

    def get(self, enrolment: Ref) -> Enrolment:
        """One enrolment."""
        return Enrolment.read(self._http.get(f"enrolments/{id_of(enrolment)}"))

    def invite(self, study: Ref, site: Ref, *, level: str = "F2") -> Enrolment:
        """Invite a site, and propose a level of participation: "F0", "F1" or "F2"."""
        body = {"site": id_of(site), "level": level}
        return Enrolment.read(self._http.post(f"studies/{id_of(study)}/enrolments", body))

    def accept(self, enrolment: Ref, *, level: str | None = None) -> Enrolment:
        """Take part (site admins), at a level that the site chooses; as it was proposed when None."""
        body = {} if level is None else {"level": level}
        return Enrolment.read(self._http.post(f"enrolments/{id_of(enrolment)}/accept", body))

    def change_level(self, enrolment: Ref, level: str) -> Enrolment:
        """Take part at another level (site admins): less at once, more in runs that are planned afterwards."""
        return Enrolment.read(self._http.post(f"enrolments/{id_of(enrolment)}/level", {"level": level}))

    def decline(self, enrolment: Ref, *, reason: str = "") -> Enrolment:
        """Do not take part (site admins)."""
        return Enrolment.read(self._http.post(f"enrolments/{id_of(enrolment)}/decline", {"reason": reason}))

    def withdraw(self, enrolment: Ref, *, reason: str = "") -> Enrolment:
        """Take part no more."""
        return Enrolment.read(self._http.post(f"enrolments/{id_of(enrolment)}/withdraw", {"reason": reason}))


class Datasets(Resource):
    """What the sites offer a study."""

    def list(self, study: Ref) -> Records[Dataset]:
        """The study's datasets that one may see."""
        return Records(Dataset.read(row) for row in self._http.each(f"studies/{id_of(study)}/datasets"))

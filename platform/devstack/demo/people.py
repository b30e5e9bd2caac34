"""The platform's side of the story: accounts, sites, the study, and who may do what in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.demo.cast import DATASET, STUDY, Cast, Hospital, Person
from devstack.stack import ROOT, Stack
from fedstudy_client.problem import FedStudyProblem
from fedstudy_client.transport import Transport
from fedstudy_core import bundle as bundles

DICTIONARY = ROOT / "federation" / "library" / "heart_disease" / "dictionary.json"
SANDBOX_OF_REAL_DATA = "S3"
PROTOCOL = ROOT / "federation" / "library" / "heart_disease" / "README.md"


@dataclass(frozen=True)
class Sessions:
    """Everybody's signed-in connection to the portal, by e-mail address."""

    by_email: Mapping[str, Transport]

    def of(self, person: Person) -> Transport:
        """The connection of one person."""
        return self.by_email[person.email]

    def close(self) -> None:
        """Close all connections."""
        for session in self.by_email.values():
            session.close()


def open_accounts(stack: Stack, cast: Cast) -> Sessions:
    """Set the portal up, give everybody an account, and sign everybody in."""
    with Transport(stack.portal_url) as stranger:
        token = stack.manage("create_setup_token").split()[-1]
        admin = cast.administrator
        stranger.post("setup", {"token": token, **_account(admin)})
    sessions = {admin.email: sign_in(stack, admin)}
    for person in cast.people[1:]:
        sessions[admin.email].post("users", _account(person))
        sessions[person.email] = sign_in(stack, person)
    return Sessions(sessions)


class Connection(Transport):
    """A person's connection; where the portal wants to know that it is still them, they sign in again."""

    def __init__(self, url: str, person: Person) -> None:
        super().__init__(url)
        self._person = person
        self.sign_in()

    def sign_in(self) -> None:
        """Begin a session."""
        answer = self.post("auth/token", {"email": self._person.email, "password": self._person.password})
        self.token = answer["token"]

    def _send(self, method: str, path: str, **options: Any) -> Any:
        try:
            return super()._send(method, path, **options)
        except FedStudyProblem as problem:
            if problem.code != "E_STEP_UP":
                raise
            self.sign_in()
            return super()._send(method, path, **options)


def sign_in(stack: Stack, person: Person) -> Transport:
    """A connection with a session of this person's."""
    return Connection(stack.portal_url, person)


def open_sites(sessions: Sessions, cast: Cast) -> dict[str, str]:
    """Make the hospitals' sites and put their admins in charge; returns site ids by centre."""
    administrator = sessions.of(cast.administrator)
    sites = {}
    for hospital in cast.hospitals:
        names = {"name": hospital.centre, "short_name": hospital.short_name}
        site = administrator.post("sites", {**names, "city": hospital.city, "country": hospital.country})
        administrator.post(f"sites/{site['id']}/people", {"user": hospital.admin.email, "role": "admin"})
        sites[hospital.centre] = site["id"]
        if hospital.steward is not None:
            steward = {"user": hospital.steward.email, "role": "steward"}
            sessions.of(hospital.admin).post(f"sites/{site['id']}/people", steward)
    return sites


def open_study(sessions: Sessions, cast: Cast) -> str:
    """The PI drafts the study, publishes its dictionary, uploads the protocol and lets the auditor in."""
    investigator = sessions.of(cast.investigator)
    study = str(investigator.post("studies", STUDY)["id"])
    investigator.post(f"studies/{study}/dictionary", json.loads(DICTIONARY.read_text("utf-8")))
    investigator.upload(f"studies/{study}/protocol", "file", "protocol.md", PROTOCOL.read_bytes())
    investigator.post(f"studies/{study}/people", {"user": cast.auditor.email, "role": "auditor"})
    investigator.post(f"studies/{study}/transition", {"to": "recruiting"})
    return study


def enrol_sites(sessions: Sessions, cast: Cast, study: str, sites: Mapping[str, str]) -> dict[str, str]:
    """The PI invites every site and its admin accepts; returns enrolment ids by centre."""
    enrolments = {}
    for hospital in cast.hospitals:
        invitation = sessions.of(cast.investigator).post(
            f"studies/{study}/enrolments", {"site": sites[hospital.centre], "level": "F2"}
        )
        sessions.of(hospital.admin).post(f"enrolments/{invitation['id']}/accept")
        enrolments[hospital.centre] = str(invitation["id"])
    return enrolments


def enrol_node(stack: Stack, session: Transport, hospital: Hospital, site: str) -> str:
    """The site admin registers a node, introduces it on its console, and confirms it by six words."""
    node = stack.node(hospital.node)
    ticket = session.post(f"sites/{site}/nodes", {"name": hospital.node})
    person = ("--approver", hospital.admin.name, "--passphrase-file", str(node.make_passphrase()))
    node.command("init", "--name", hospital.node, "--page-port", str(stack.page_ports.take()), *person)
    here = node.command("enrol", "--portal", stack.portal_url, "--token", ticket["token"])
    there = session.get(f"nodes/{ticket['id']}")
    if here["words"] != there["words"]:
        raise RuntimeError(f"{hospital.centre}: the node says {here['words']!r}, the portal {there['words']!r}")
    session.post(f"nodes/{ticket['id']}/confirm", {"words": here["words"]})
    return str(ticket["id"])


def offer_dataset(stack: Stack, hospital: Hospital, study: str, rows: Path) -> str:
    """The site admin binds the centre's rows to the study on the node's console; returns the dataset's id."""
    node = stack.node(hospital.node)
    offered: dict[str, Any] = node.command("dataset", "add", "--study", study, "--name", DATASET, str(rows))
    return str(offered["id"])


def approve_script(stack: Stack, hospital: Hospital, version: str, dataset: str) -> None:
    """The site admin signs the script version for the dataset on the node's console.

    These rows are public, so a site may train alone for comparison; otherwise a run has three sites at least. For the
    same reason a weaker sandbox will do where this machine offers no better.
    """
    node = stack.node(hospital.node)
    sandbox = min(stack.sandbox(hospital.node), SANDBOX_OF_REAL_DATA)
    signature = ["--approver", hospital.admin.name, "--passphrase-file", str(node.passphrase_file)]
    limits = ["--max-rounds", "500", "--min-sites", "1", "--sandbox-min", sandbox]
    node.command("approve", version, "--dataset", dataset, *signature, *limits, "--yes")


def submit_library_script(session: Transport, study: str) -> str:
    """The PI takes the heart disease script from the library; returns the version's id."""
    script = session.post(f"studies/{study}/scripts", {"name": "heart-disease"})
    version = session.post(f"scripts/{script['id']}/versions", {"library": "heart_disease"})
    return str(version["id"])


def submit_second_script(session: Transport, study: str) -> str:
    """The PI proposes the same script with larger batches; nobody has signed it yet. Returns the version's id."""
    files = bundles.source_files(ROOT / "federation" / "library" / "heart_disease")
    project = files[bundles.PROJECT].decode("utf-8")
    for before, after in (('version = "1.3.0"', 'version = "1.4.0"'), ("batch-size = 4", "batch-size = 16")):
        project = project.replace(before, after)
    bundle = bundles.build(files | {bundles.PROJECT: project.encode("utf-8")})
    script = session.post(f"studies/{study}/scripts", {"name": "heart-disease-large-batches"})
    version = session.upload(f"scripts/{script['id']}/versions", "bundle", "heart-disease.fab", bundle)
    return str(version["id"])


def _account(person: Person) -> dict[str, str]:
    return {"email": person.email, "name": person.name, "password": person.password}

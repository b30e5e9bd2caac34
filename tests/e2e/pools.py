"""A pool node beside the stage's four hospitals, and what their people do at consoles, on pages and by the client."""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from devstack.demo import people
from devstack.demo.cast import DATASET, Hospital, Person
from devstack.demo.people import Sessions
from devstack.demo.story import at_each
from devstack.nodes import NodeHome
from federation.library.heart_disease.heart_disease.preparation import COLUMNS
from federation.library.heart_disease.source import write_centres
from fedstudy_client import FedStudy
from fedstudy_core.keys import public_from_text
from tests.stage import Json, Stage

STEWARD = "Demo Steward"
CENTRE = Hospital("Coordinating centre", "centre", "Zurich", "CH", Person("centre@demo.example", "Demo Centre", ""))
USUAL, CANARY = "1.2", "1.2007719353"  # in many rows of the first hospital, and in no other file of this machine
MEMORY = Path("/dev/shm")

WISH = f"""
dataset = "{DATASET}"
retention_until = 2030-01-01
days = 100

[legal_basis]
gdpr6 = "6(1)(e)"
gdpr9 = "9(2)(j)"
note = "public rows"

[holdout]
label = {{ column = "num", op = ">", value = 0 }}
train = "0.66"
seed = 43
complete = {json.dumps(list(COLUMNS))}

[k]
columns = ["sex"]
least = 1

[profile]
""" + "".join(f'{name} = {{ action = "keep" }}\n' for name in COLUMNS)
ADULTS = '[[filter]]\ncolumn = "age"\nop = ">="\nvalue = 50\n'
WISHES = {"F3": f'level = "F3"\n{WISH}\n{ADULTS}', "F4": f'level = "F4"\n{WISH}'}


def write_with_canary(folder: Path) -> dict[str, Path]:
    """The centres' files; one number of the first is another one, by which its rows are known wherever they come."""
    paths = write_centres(folder)
    first = next(iter(paths.values()))
    with first.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["oldpeak"] = CANARY if row["oldpeak"] == USUAL else row["oldpeak"]
    with first.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return paths


@dataclass(frozen=True)
class Pool:
    """The stage's study with a fifth site, whose node holds what the others pool."""

    stage: Stage
    node: NodeHome
    node_id: str
    enrolment: str
    folder: Path

    @property
    def study(self) -> str:
        """The stage's study."""
        return self.stage.prepared.study

    @property
    def memory(self) -> list[Path]:
        """The files in which the pool node has rows in plain."""
        return sorted(MEMORY.glob(f"fedstudy-pool-*-{self.node_id}/*.parquet"))

    def events(self, action: str) -> list[Json]:
        """What the log tells of a kind in the study, newest first."""
        auditor = self.stage.prepared.sessions.of(self.stage.cast.auditor)
        return list(auditor.each("audit/events", study=self.study, action=action))

    def key_of(self, hospital: Hospital) -> Path:
        """Where the pool node keeps its key for a hospital."""
        site = self.stage.prepared.sites[hospital.centre]
        return self.node.home / "poolnode" / "keys" / f"{self.study}.{site}.key"

    def levels(self) -> dict[str, str]:
        """The level of each site, as the investigator reads it."""
        rows = self.stage.investigator.each(f"studies/{self.study}/enrolments")
        return {item["site"]["name"]: item["level"] for item in rows}

    def deletions(self) -> tuple[Ed25519PublicKey, list[bytes]]:
        """The pool node's key, and what it signed once rows were gone."""
        with psycopg.connect(self.stage.stack.services.postgres.superuser_url) as database:
            row = database.execute("SELECT identity_key FROM registry_node WHERE id = %s", [self.node_id]).fetchone()
            signed = database.execute("SELECT deletion FROM pooling_poolconsent WHERE deletion IS NOT NULL").fetchall()
        assert row is not None
        return public_from_text(row[0]), [bytes(envelope) for (envelope,) in signed]

    def tables(self) -> list[Json]:
        """The tables that the pool node offers."""
        offered = self.stage.investigator.each(f"studies/{self.study}/datasets")
        return [item for item in offered if item["node"] == self.node_id and item["state"] == "valid"]

    def prepare_people(self, hospitals: tuple[Hospital, ...]) -> None:
        """At each hospital's node a data steward may sign, and it has a key of its own to open what it sent."""
        self._each(hospitals, self._prepare)

    def _prepare(self, hospital: Hospital) -> None:
        node = self.stage.stack.node(hospital.node)
        self._steward(hospital).write_text("a passphrase of the demo\n")
        node.command(
            "trust", "add", STEWARD, "--role", "data steward", "--passphrase-file", str(self._steward(hospital))
        )
        node.command("pool", "recovery-key", str(self.recovery_of(hospital)))

    def _steward(self, hospital: Hospital) -> Path:
        return self.folder / f"{hospital.node}.passphrase"

    def recovery_of(self, hospital: Hospital) -> Path:
        """The file with the hospital's own key."""
        return self.folder / f"{hospital.node}.key"

    def share(self, level: str, *hospitals: Hospital) -> None:
        """Two people of each hospital consent on its console; then its rows are sent."""
        self._each(hospitals, lambda hospital: self._share(level, hospital))

    def _share(self, level: str, hospital: Hospital) -> None:
        node = self.stage.stack.node(hospital.node)
        wish = self.folder / f"{hospital.node}-{level}.toml"
        wish.write_text(WISHES[level])
        signers = ("--approver", hospital.admin.name, "--second", STEWARD)
        key = ("--passphrase-file", str(node.passphrase_file), "--yes")
        begun = node.command("pool", "consent", self.study, "-f", str(wish), *signers, *key)
        node.command("pool", "cosign", begun["consent"], "--passphrase-file", str(self._steward(hospital)), "--yes")
        assert node.command("pool", "send", self.study)["sent"]

    def _each(self, hospitals: tuple[Hospital, ...], act: Callable[[Hospital], None]) -> None:
        at_each(replace(self.stage.cast, hospitals=hospitals), act)

    def approve_table(self, *, sites: int) -> None:
        """Wait for the table of so many sites' rows; the centre's admin signs the script for it."""
        made: list[str] = []

        def is_there() -> bool:
            made[:] = [
                item["object_id"] for item in self.events("pooling:table:made") if item["detail"]["sites"] == sites
            ]
            return [item["id"] for item in self.tables()] == made[:1] != []

        self.stage.wait_until(is_there)
        people.approve_script(self.stage.stack, CENTRE, self.stage.prepared.version, made[0])

    def run(self, label: str, **plan: object) -> Json:
        """A run of the stage's script over all sites that are ready, once it is over."""
        return self.stage.wait_for_end(self.stage.start_run(label=label, **{"rounds": 2, **plan}))

    def choose_on_page(self, hospital: Hospital, level: str) -> None:
        """The hospital's admin takes part at this level from now on."""
        there = f"/enrolments/{self.stage.prepared.enrolments[hospital.centre]}"
        with self.stage.browser(hospital.admin) as browser:
            answer = browser.fill_in(there, f"{there}/level", {"level": level})
            assert answer.status_code == 302
            assert f"takes part at level {level}." in browser.get(there).text

    def choose_by_client(self, hospital: Hospital, level: str) -> None:
        """The same from a notebook."""
        with self.client(hospital.admin) as portal:
            enrolment = self.stage.prepared.enrolments[hospital.centre]
            assert portal.enrolments.change_level(enrolment, level).level == level

    @contextmanager
    def client(self, person: Person) -> Iterator[FedStudy]:
        """The person's client, who just signed in."""
        with FedStudy(self.stage.stack.portal_url).login(person.email, person.password) as portal:
            yield portal

    def consent_of(self, hospital: Hospital) -> str:
        """The id of the consent of a hospital that is in force."""
        with self.client(hospital.admin) as portal:
            consents = portal.pooling.consents(self.study)
        return next(item.id for item in consents if item.site.name == hospital.centre and item.state == "valid")


def set_up_pool(stage: Stage, folder: Path, signers: tuple[Hospital, ...]) -> Pool:
    """The coordinating centre joins the stage's study, its node is named, and makes a key for each hospital."""
    stack, administrator = stage.stack, stage.prepared.sessions.of(stage.cast.administrator)
    person, alone = CENTRE.admin, replace(stage.cast, hospitals=(CENTRE,))
    administrator.post("users", {"email": person.email, "name": person.name, "password": person.password})
    sessions = Sessions({**stage.prepared.sessions.by_email, person.email: people.sign_in(stack, person)})
    (site,) = people.open_sites(sessions, alone).values()
    study = stage.prepared.study
    (enrolment,) = people.enrol_sites(sessions, alone, study, {CENTRE.centre: site}).values()
    named = people.enrol_node(stack, sessions.of(person), CENTRE, site)
    sessions.of(person).close()
    stack.start_agent(CENTRE.node)
    stage.investigator.put(f"studies/{study}/pool", {"node": named})
    made = Pool(stage, stack.node(CENTRE.node), named, enrolment, folder)
    made.prepare_people(signers)
    stage.wait_until(lambda: len(made.events("pooling:key:registered")) >= len(stage.cast.hospitals))
    return made


def parts(run: Mapping[str, object]) -> dict[str, tuple[str, str]]:
    """Level and part of each site, as a run's record has them."""
    return {item["name"]: (item["level"], item["role"]) for item in run["sites"]}  # type: ignore[attr-defined]


def timeline(pool: Pool) -> list[str]:
    """The study's timeline as its auditor reads it, oldest first."""
    address, told = f"/studies/{pool.study}/timeline", []
    with pool.stage.browser(pool.stage.cast.auditor) as browser:
        query = ""
        while True:
            page = browser.get(f"{address}{query}").text
            items = re.findall(r'<li class="mb-2">(.*?)</li>', page, re.DOTALL)
            told += [" ".join(html.unescape(re.sub(r"<[^>]+>", "", item)).split()) for item in items]
            older = re.search(r'href="([^"]+)"\s+rel="next"', page)
            if older is None:
                return told[::-1]
            query = html.unescape(older[1])


def version_of(file: Path) -> int | None:
    """What changes when a file is made anew; None where it is gone."""
    return next((path.stat().st_mtime_ns for path in file.parent.glob(file.name)), None)

"""Two hospitals and a coordinating centre with a small portal between them."""

import atexit
import csv
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow
import pytest
import tomli_w
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyarrow import parquet

from fedstudy_core.keys import public_text
from fedstudy_node import tables
from fedstudy_node.cli import main
from fedstudy_node.connecting import open_portal
from fedstudy_node.datasets import Dataset, Datasets
from fedstudy_node.home import Home
from fedstudy_node.ledger import Ledger
from fedstudy_node.pooling.consenting import Consenting
from fedstudy_node.pooling.keeper import Keeper
from fedstudy_node.pooling.offers import destination
from fedstudy_node.pooling.sending import Sending
from fedstudy_node.studies import find_study
from fedstudy_node.trust import Trust
from tests.agent.pooling import portal as portals
from tests.agent.pooling.portal import PoolPortal
from tests.factories import consents
from tests.factories.agent import PASSPHRASE, STUDY, make_node

CENTRE = 99


@dataclass
class Hospital:
    """A node with a file of patients, and its people on the console."""

    folder: Path
    home: Home
    file: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def site(self) -> str:
        return self.home.settings().site

    def type(self, *words: str) -> tuple[int, str, str]:
        status = main([*words, "--home", str(self.home.path)])
        said = self.capsys.readouterr()
        return status, said.out, said.err

    def facts(self, *words: str) -> Any:
        status, out, error = self.type("pool", *words, "--json")
        assert status == 0, error
        return json.loads(out)

    def fails(self, *words: str) -> str:
        status, _, error = self.type("pool", *words, "--json")
        assert status == 1
        return str(json.loads(error.splitlines()[0])["code"])

    def wish(self, **changed: Any) -> str:
        """Write consent.toml; its path."""
        path = self.folder / "consent.toml"
        path.write_text(tomli_w.dumps({**consents.WISH, **changed}))
        return str(path)

    def consent(self, **changed: Any) -> str:
        """Both people sign; the consent's id."""
        word = ("--passphrase-file", str(self.folder / "passphrase"), "--yes")
        people = ("--approver", "Demo Admin", "--second", "Demo Steward")
        begun = self.facts("consent", STUDY, "-f", self.wish(**changed), *people, *word)
        assert begun["awaited"] == ["Demo Steward"]
        done = self.facts("cosign", begun["consent"][:12], *word)
        assert done["awaited"] == []
        return str(done["consent"])

    def share(self, **changed: Any) -> str:
        """Consent and send without the console, whose passphrases are slow on purpose; the consent's id."""
        with closing(Ledger(self.home.ledger_path)) as ledger, open_portal(self.home, ledger) as portal:
            consenting, sending = Consenting(self.home, ledger), Sending(self.home, ledger)
            if not (consenting.papers.folder / "recovery.pub").exists():
                consenting.papers.make_recovery_key(self.folder / "recovery.txt")
            where = destination(portal, self.home.enrolled(), STUDY)
            wish = consents.wish(**changed)
            dataset = Datasets(self.home).find(wish.dataset)
            draft = consenting.begin(wish, STUDY, dataset, where, Trust(self.home).all())
            for entry, key in zip(Trust(self.home).all(), _people_keys(), strict=True):
                draft = consenting.add(draft, entry.id, key.sign(draft.to_sign))
            given = consenting.hand_in(consenting.finish(draft), portal)
            sending.send(sending.prepare(given, find_study(portal, STUDY)), portal)
        return given.consent_id


@dataclass
class Centre:
    """The pool node."""

    home: Home
    keeper: Keeper
    now: datetime

    def work(self) -> None:
        with closing(Ledger(self.home.ledger_path)) as ledger, open_portal(self.home, ledger) as portal:
            self.keeper.drop_expired(ledger)
            self.keeper.work(ledger, portal)

    def restart(self) -> None:
        self.keeper = Keeper(self.home, lambda: self.now)

    @property
    def datasets(self) -> list[Dataset]:
        return Datasets(self.home).all()

    def table(self) -> pyarrow.Table:
        (dataset,) = self.datasets
        return parquet.read_table(dataset.path)

    def journal(self, kind: str) -> list[dict[str, Any]]:
        with closing(Ledger(self.home.ledger_path)) as ledger:
            return [dict(entry.detail) for entry in ledger.journal.entries(1000) if entry.kind == kind]


@dataclass
class Region:
    """All of them."""

    portal: PoolPortal
    folder: Path
    centre: Centre
    hospitals: list[Hospital]

    def share(self) -> list[str]:
        """Both hospitals share their rows; the consents."""
        self.centre.work()  # makes the keys
        return [hospital.share() for hospital in self.hospitals]

    def open(self) -> list[str]:
        """The same, and the pool node opened them."""
        consents = self.share()
        self.centre.work()
        return consents


@pytest.fixture
def memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
def region(tmp_path: Path, memory: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Region]:
    portal = PoolPortal()
    with portals.serve(portal) as address:
        hospitals = [_hospital(tmp_path / f"hospital{number}", number, address, capsys) for number in (1, 2)]
        centre = _node(tmp_path / "centre", CENTRE, address)
        centre.save(replace(centre.settings(), pool_memory=str(memory)))
        for home in (centre, *(hospital.home for hospital in hospitals)):
            portal.nodes[home.settings().node] = public_text(home.identity_key().public_key())
            portal.sites[home.settings().node] = home.settings().site
        portal.pool_node = centre.settings().node
        portal.wanted = [(STUDY, hospital.site) for hospital in hospitals]
        made = Centre(centre, Keeper(centre), datetime.now(UTC))
        made.restart()
        yield Region(portal, tmp_path, made, hospitals)


def _node(folder: Path, number: int, address: str) -> Home:
    folder.mkdir()
    home = make_node(folder, number=number).home
    home.save(replace(home.settings(), portal=address))
    Datasets(home).remove(Datasets(home).all()[0])
    return home


def _hospital(folder: Path, number: int, address: str, capsys: pytest.CaptureFixture[str]) -> Hospital:
    home = _node(folder, number, address)
    for path in (_people().path / "trust.json", *(_people().path / "keys").glob("approver-*.pem")):
        (home.path / path.relative_to(_people().path)).write_bytes(path.read_bytes())
    (folder / "passphrase").write_bytes(PASSPHRASE + b"\n")
    file = folder / "patients.csv"
    columns = consents.patients(seed=number)
    with file.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    bind(home, file, number)
    return Hospital(folder, home, file, capsys)


@cache
def _people() -> Home:
    """A home with the two people's keys, to copy from."""
    folder = Path(tempfile.mkdtemp(prefix="fedstudy-test-"))
    atexit.register(shutil.rmtree, folder)
    home = make_node(folder).home
    Trust(home).add_console_key(name="Demo Steward", role="data steward", passphrase=PASSPHRASE)
    return home


@cache
def _people_keys() -> list[Ed25519PrivateKey]:
    trust = Trust(_people())
    return [trust.console_key(entry, PASSPHRASE) for entry in trust.all()]


def bind(home: Home, file: Path, number: int) -> None:
    """Offer a file to the study, as `dataset add` does."""
    columns = tables.columns_of(tables.read_table(file, "csv"))
    dataset = Dataset(
        id=str(uuid.UUID(int=300 + number)),
        study=STUDY,
        name="heart",
        path=str(file),
        format="csv",
        fingerprint=tables.fingerprint("csv", columns, tables.file_sha256(file)),
        columns=columns,
        rows_band="100-499",
        rows=300,
    )
    Datasets(home).add(dataset)

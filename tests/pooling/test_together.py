"""Both sides as they are: a hospital's console and a pool node's keeper against the portal, over HTTP."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from django.db import connections

from accounts.models import Site, User
from audit.models import Event
from fedstudy_node.cli import main
from fedstudy_node.home import Home
from fedstudy_node.pooling.keeper import Keeper
from nodes.registry.models import Node
from nodes.registry.services import confirm_node, expect_node
from studies.dictionary.services import publish_dictionary
from studies.enrolment.services import accept_invitation, invite_site
from studies.lifecycle.models import Study
from studies.pooling.consents import revoke_consent
from studies.pooling.models import PoolConsent, PooledObject, PooledTable, PoolKey
from studies.pooling.services import name_pool_node
from tests.agent.pooling import conftest as side
from tests.agent.pooling.conftest import Centre, Hospital, memory
from tests.factories import consents
from tests.factories.agent import PASSPHRASE
from tests.factories.studies import new_site, new_study

__all__ = ["memory"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@contextmanager
def served() -> Iterator[str]:
    """The portal as it is served, in a thread of the test's."""
    from portal.asgi import application

    config = uvicorn.Config(application, port=0, log_level="error", lifespan="off", ws="none")
    server, socket = uvicorn.Server(config), config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    while not server.started:
        thread.join(0.01)
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        connections.close_all()


def node_of(folder: Path, address: str, site: Site, admin: User) -> Home:
    """A node that was set up and enrolled on its console, and confirmed at the portal."""
    folder.mkdir()
    (folder / "passphrase").write_bytes(PASSPHRASE + b"\n")
    word, home = ["--passphrase-file", str(folder / "passphrase")], ["--home", str(folder / "home")]
    node, token = expect_node(site=site, name="node", by=admin)
    assert main(["init", "--name", "node", "--approver", "Demo Admin", "--page-port", "0", *word, *home]) == 0
    assert main(["enrol", "--portal", address, "--token", token, *home]) == 0
    node.refresh_from_db()
    confirm_node(node=node, words=node.words, by=admin)
    assert main(["trust", "add", "Demo Steward", "--role", "data steward", *word, *home]) == 0
    return Home(folder / "home")


def part_in(study: Study, pi: User) -> tuple[Site, User]:
    site, admin = new_site()
    accept_invitation(enrolment=invite_site(study=study, site=site, by=pi), by=admin)
    return site, admin


def write_patients(path: Path) -> Path:
    columns = consents.patients()
    with path.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def test_rows_go_from_a_hospital_to_the_pool_node_and_away_again(
    tmp_path: Path, memory: Path, settings: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FEDSTUDY_DATA_DIR = tmp_path / "portal"
    study, pi = new_study(state="active")
    publish_dictionary(study=study, variables=consents.VARIABLES, by=pi)
    (site, admin), (centre_site, centre_admin) = part_in(study, pi), part_in(study, pi)
    monkeypatch.setattr(side, "STUDY", str(study.pk))
    with served() as address:
        home = node_of(tmp_path / "hospital", address, site, admin)
        centre_home = node_of(tmp_path / "centre", address, centre_site, centre_admin)
        centre_home.save(replace(centre_home.settings(), pool_memory=str(memory)))
        file = write_patients(tmp_path / "hospital" / "patients.csv")
        added = ["dataset", "add", "--study", str(study.pk), "--name", "heart", str(file), "--home", str(home.path)]
        assert main(added) == 0, capsys.readouterr().err
        node = Node.objects.get(site=centre_site)
        name_pool_node(study=study, site=centre_site, node=node, node_name=node.name, by=pi)
        hospital, centre = Hospital(tmp_path / "hospital", home, file, capsys), keeper_of(centre_home)
        capsys.readouterr()

        centre.work()
        assert PoolKey.objects.get().site == site
        hospital.facts("recovery-key", str(tmp_path / "recovery.txt"))
        said = hospital.consent()
        consent = PoolConsent.objects.get(sha256=said)
        assert (consent.state, consent.level) == ("valid", "F3")
        hospital.facts("send", str(study.pk))
        item = PooledObject.objects.get()
        assert (item.state, item.consent) == ("complete", consent)

        centre.work()
        table = PooledTable.objects.select_related("dataset").get()
        assert (table.dataset.state, table.is_good, list(table.consents.all())) == ("valid", True, [consent])
        assert centre.table().num_rows == item.rows

        revoke_consent(consent=consent, delete=True, by=admin)
        table.refresh_from_db()
        assert not table.is_good, "at once, before the pool node looks"
        centre.work()
    assert centre.datasets == []
    consent.refresh_from_db()
    item.refresh_from_db()
    assert (consent.state, item.state, PoolKey.objects.get().state) == ("deleted", "deleted", "destroyed")
    told = list(Event.objects.filter(action__startswith="pooling:").order_by("pk").values_list("action", flat=True))
    assert told == [
        "pooling:node:named", "pooling:key:registered", "pooling:consent:given", "pooling:object:announced",
        "pooling:object:received", "pooling:table:made", "pooling:consent:revoked", "pooling:consent:deletion_asked",
        "pooling:consent:deleted",
    ]  # fmt: skip


def keeper_of(home: Home) -> Centre:
    made = Centre(home, Keeper(home), datetime.now(UTC))
    made.restart()
    return made

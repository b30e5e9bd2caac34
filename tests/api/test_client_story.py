"""The Python client plays a whole study against the portal, in one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from accounts.services import create_setup_token
from fedstudy_client import FedStudyProblem
from tests.api.world import PASSWORD, VARIABLES, NodeKeys, facts, introduction, sources
from tests.client.portals import Portal

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),
]


@pytest.fixture
def portal() -> Iterator[Portal]:
    with ExitStack() as stack:
        yield Portal(stack)


def write_app(folder: Path) -> Path:
    for path, content in sources().items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def test_a_study_from_the_first_account_to_a_planned_run(portal: Portal, tmp_path: Path) -> None:
    first = portal.client()
    first.set_up(setup_token=create_setup_token(), email="root@x.example", name="Root", password=PASSWORD)
    admin = portal.client("root@x.example")
    for email, name in (("pi@x.example", "Pat"), ("ada@x.example", "Ada"), ("ody@x.example", "Ody")):
        admin.users.create(email=email, name=name, password=PASSWORD)
    site = admin.sites.create(name="Cleveland Clinic", short_name="cleveland")
    admin.sites.add_person(site, user="ada@x.example", role="admin")
    assert {person.name for person in admin.users.list()} == {"Root", "Pat", "Ada", "Ody"}
    (pat,) = admin.users.list("pat")
    assert admin.users.get(pat).name == "Pat"
    assert admin.platform.queue()["queued"] == []
    assert "database" in {part["name"]: part["state"] for part in admin.platform.health()["parts"]}

    pi, ada = portal.client("pi@x.example"), portal.client("ada@x.example")
    made = pi.tokens.create("Notebook", scopes=["read"])
    assert made.token
    assert [(token.name, token.token) for token in pi.tokens.list()] == [("Notebook", "")]
    pi.tokens.revoke(made)
    assert pi.tokens.list() == []
    study = pi.studies.create(title="Hearts", aims="Predict stenosis")
    assert pi.studies.update(study, summary="Four centres").summary == "Four centres"
    assert pi.dictionary.set(study, VARIABLES).number == pi.dictionary.get(study).number == 1
    protocol = tmp_path / "protocol.md"
    protocol.write_text("# Protocol\n")
    assert pi.studies.add_protocol(study, protocol).filename == "protocol.md"
    assert pi.studies.protocol(study).size == len(pi.studies.protocol_file(study))
    pi.studies.add_person(study, user="ody@x.example", role="auditor")
    assert {member.role for member in pi.studies.people(study)} == {"pi", "auditor"}
    pi.studies.transition(study, "recruiting")
    enrolment = pi.enrolments.invite(study, pi.sites.invitable(study)[0])
    assert ada.enrolments.accept(ada.enrolments.list()[0]).state == "accepted"

    first_token = ada.nodes.create(site, name="node-1")
    expected, keys = ada.nodes.renew_token(first_token), NodeKeys()
    assert expected.token not in ("", first_token.token)
    with pytest.raises(FedStudyProblem, match="E_TOKEN"):
        first._http.post("node/enrol", introduction(first_token.token, keys))
    told = first._http.post("node/enrol", introduction(expected.token, keys))
    assert ada.nodes.get(expected).words == told["words"]
    assert ada.nodes.confirm(expected, words=told["words"]).state == "active"
    assert [node.name for node in ada.nodes.list(site)] == ["node-1"]
    assert ada.nodes.list() == ada.nodes.list(site)
    answer = keys.send(told["node"], "POST", "datasets", facts(study.id))
    assert answer.status_code == 201
    assert pi.enrolments.get(enrolment).state == "ready"
    assert [dataset.rows_band for dataset in pi.datasets.list(study)] == ["100-499"]

    script = pi.scripts.create(study, name="Regression")
    version = pi.versions.upload(script, write_app(tmp_path / "app"))
    assert pi.versions.file(version, "tiny/server.py") == sources()["tiny/server.py"]
    assert len(pi.versions.bundle(version)) == version.size
    assert [item.name for item in pi.scripts.list(study)] == ["Regression"]
    assert pi.versions.get(version) == pi.versions.list(script)[0]
    assert "heart_disease" in {item.name for item in pi.scripts.library()}
    assert pi.approvals.list(version) == []

    pi.studies.transition(study, "active")
    run = pi.runs.create(study, version, rounds=2, config={"learning-rate": 0.5})
    assert pi.runs.get(run).state == "draft"
    assert run.raw["missing"][0]["code"] == "E_NOT_APPROVED"
    with pytest.raises(FedStudyProblem, match="E_NOT_APPROVED"):
        pi.runs.start(run)
    assert pi.runs.stop(run, reason="Not yet").is_final
    assert pi.runs.rounds(run) == []
    told = [event["action"] for event in pi.runs.events(run)]
    assert told == ["runs:run:created", "runs:run:hindered", "runs:run:stopped"]
    assert pi.runs.results(run)["committed"] == 0

    auditor = portal.client("ody@x.example")
    actions = [event.action for event in auditor.audit.events(study=study)]
    assert "scripts:version:submitted" in actions
    assert auditor.me().roles[0]["role"] == "auditor"
    with pytest.raises(FedStudyProblem) as caught:
        auditor.runs.create(study, version)
    assert (caught.value.code, caught.value.status) == ("E_FORBIDDEN", 403)
    auditor.logout()
    with pytest.raises(FedStudyProblem, match="E_AUTHENTICATION"):
        auditor.me()

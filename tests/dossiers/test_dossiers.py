"""A run's dossier says what was planned, approved, done and found, and proves it; it is noted who takes it."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from accounts.roles import Role
from audit import waiting
from audit.models import Event
from federation.dossiers.facts import facts_of
from federation.dossiers.services import make_dossier
from federation.dossiers.versions import history_of
from federation.releases.models import Release
from federation.releases.services import cosign_release, request_release
from federation.runs.models import Participation, Run
from federation.runs.services import stop_run
from federation.runs.storage import model_store
from fedstudy_core.canonical import digest
from fedstudy_core.errors import Conflict
from fedstudy_verify.dossier import DossierVerdict, verify_dossier
from fedstudy_verify.verifying import Trust
from nodes.registry.models import Node
from studies.lifecycle.services import add_protocol
from studies.pooling.models import PoolConsent, PooledTable
from studies.scripts.models import Approval
from studies.scripts.services import submit_version
from tests.api.world import World, fab
from tests.audit.logs import SIGNER, sequence, sequence_while_waited_for
from tests.factories.accounts import holder_of
from tests.factories.pools import on_file
from tests.web.markup import assert_sound
from tests.web.rounds import commit_round, declare_subgroups, set_to_work

pytestmark = pytest.mark.django_db
PARAMETERS = b"parameters"


@pytest.fixture(autouse=True)
def log_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    sequence_while_waited_for(monkeypatch)


@pytest.fixture
def ended(world: World) -> Run:
    """A run of two rounds that was stopped; in the second its site was away."""
    add_protocol(study=world.study, filename="Protokoll: Herz.pdf", content=b"%PDF-1.7 protocol", by=world.pi)
    run = set_to_work(world)
    run.participants.update(approval=world.approval)
    commit_round(run, 1)
    commit_round(run, 2, state="missing", code="E_OFFLINE", examples=None, metrics={})
    run.models.filter(round_number=2).update(sha256=model_store().put(PARAMETERS))
    declare_subgroups(Run.objects.get(pk=run.pk))
    sequence()
    stop_run(run=Run.objects.get(pk=run.pk), by=world.pi, reason="Enough is known")
    return Run.objects.get(pk=run.pk)


def write(folder: Path, run: Run, by: User) -> DossierVerdict:
    """The dossier as a folder, verified with the log's key."""
    for name, pieces in make_dossier(run=run, by=by):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(pieces))
    return verify_dossier(folder, Trust(str(SIGNER.key)))


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_bytes())


def test_a_dossier_holds_and_says_what_happened(world: World, ended: Run, tmp_path: Path) -> None:
    found = write(tmp_path, ended, world.auditor)
    assert (found.ok, found.problems) == (True, [])
    assert (found.run, found.events > 10) == (str(ended.pk), True)
    first, second = read(tmp_path, "run/rounds.json")
    assert [part["state"] for part in first["sites"]] == ["done", "done"]
    assert [(part["code"], bool(part["reason"])) for part in second["sites"]] == [("E_OFFLINE", True)] * 2
    (approval,) = read(tmp_path, "approvals/approvals.json")
    assert (approval["meaning"], approval["signers"][0]["name"], approval["used"]) == ("approved", "Ada Admin", True)
    assert (tmp_path / approval["file"]).read_bytes() == bytes(world.approval.envelope)
    (site,) = read(tmp_path, "run/sites.json")
    assert (site["dataset"]["fingerprint"], site["dataset"]["rows_band"]) == ("f" * 64, "100-499")
    assert (site["privacy"]["min_sites"], site["privacy"]["sandbox_min"]) == (1, "S0")
    assert (tmp_path / "script/bundle.fab").read_bytes() == fab()
    assert (tmp_path / "script/source/tiny/client.py").read_text().startswith('"""Client."""')
    assert [path.name for path in (tmp_path / "protocol").iterdir()] == ["protocol-v1.md"]  # when the run was planned
    assert [item["number"] for item in read(tmp_path, "study.json")["protocols"]] == [2, 1]
    plan = read(tmp_path, "run/plan.json")
    assert (plan["state"], plan["reason"], plan["rounds_committed"]) == ("stopped", "Enough is known", 2)
    model = read(tmp_path, "model/model.json")
    assert (model["sha256"], model["releases"]) == (digest(PARAMETERS), [])
    assert not (tmp_path / "model/model.safetensors").exists()


def test_rows_that_lay_at_a_pool_node_are_told_with_their_consents(world: World, ended: Run, tmp_path: Path) -> None:
    consent = pooled(world, world.approval)
    site = consent.site
    found = write(tmp_path, ended, world.auditor)
    assert (found.ok, found.problems) == (True, [])
    (told,) = read(tmp_path, "pooling/consents.json")
    assert (told["site"], told["rows"], told["level"], told["state"]) == (site.name, 80, "F3", "valid")
    assert [signer["name"] for signer in told["signers"]] == [
        signer["name"] for signer in consent.statement["approvers"]
    ]
    assert [(tmp_path / name).read_bytes() for name in told["files"]] == [consent.envelope]
    assert told["runs"] == [{"id": str(ended.pk), "label": ended.label}]
    page = (tmp_path / "dossier.html").read_text("utf-8")
    assert "lay at the study" in page
    assert "Rows stay at the hospitals." not in page


def pooled(world: World, approval: Approval) -> PoolConsent:
    """A consent whose rows are in the table that an approval is about."""
    dataset, site = approval.dataset, approval.site
    consent = on_file(world.study, site, Node.objects.get(pk=dataset.node_id), dataset, world.pi)
    table = PooledTable.objects.create(dataset=dataset, pool_node=consent.key.pool_node, good_until=consent.not_after)
    table.consents.add(consent)
    return consent


def of_another_table(world: World) -> Approval:
    """What a pool node signed: another version, on rows that are no hospital's own."""
    approval, version = (
        world.version.approvals.get(),
        submit_version(script=world.script, bundle=fab("1.0.1"), by=world.pi),
    )
    dataset = approval.dataset
    dataset.pk, dataset.name, dataset.fingerprint, dataset._state.adding = uuid4(), "pooled", "e" * 64, True
    dataset.save()
    approval.pk, approval.statement_id, approval._state.adding = uuid4(), uuid4().hex * 2, True
    approval.version, approval.dataset = version, dataset
    approval.save()
    return approval


def forked(run: Run, number: int) -> Run:
    """A run that went on from a round of another."""
    made, (participant,) = Run.objects.get(pk=run.pk), run.participants.all()
    made.pk, made.parent, made.parent_round, made.label = uuid4(), run, number, f"{run.label}, on"
    made._state.adding = True
    made.save()
    participant.pk, participant.run, participant._state.adding = None, made, True
    participant.save()
    return made


def test_rows_behind_the_models_that_a_run_goes_on_from_are_told_too(world: World, ended: Run, tmp_path: Path) -> None:
    """From round 1 on the first run's models have seen pooled rows; so has what comes from these, of any generation."""
    at_pool = of_another_table(world)
    Participation.objects.filter(round__run=ended).update(approval=at_pool)
    consent = pooled(world, at_pool)
    before, child = forked(ended, 0), forked(ended, 1)
    grandchild = forked(child, 0)
    for number, run in enumerate((child, grandchild)):
        found = write(tmp_path / str(number), run, world.auditor)
        assert (found.ok, found.problems) == (True, [])
        (told,) = read(tmp_path / str(number), "pooling/consents.json")
        assert (told["statement"], told["runs"]) == (consent.sha256, [{"id": str(ended.pk), "label": ended.label}])
        page = (tmp_path / str(number) / "dossier.html").read_text("utf-8")
        assert "Rows stay at the hospitals." not in page
        assert "Seen by an earlier run" in page
    ancestors = read(tmp_path / "1", "run/plan.json")["ancestors"]
    assert [(item["run"], item["round"]) for item in ancestors] == [(str(child.pk), 0), (str(ended.pk), 1)]
    assert write(tmp_path / "before", before, world.auditor).ok
    assert not (tmp_path / "before/pooling").exists()


def test_the_document_is_read_by_people_and_by_itself(world: World, ended: Run, tmp_path: Path) -> None:
    write(tmp_path, ended, world.auditor)
    page = (tmp_path / "dossier.html").read_text("utf-8")
    text = re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL))
    for words in (
        "Heart disease in four centres", "Ada Admin (site admin)", "Approved: this exact version may run", "f" * 64,
        "E_OFFLINE", "Enough is known", "0 of 1", digest(PARAMETERS), "Sex: Male", "fedstudy-verify DOSSIER",
    ):  # fmt: skip
        assert words in text, words
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "<script" not in page


def test_a_crate_describes_each_file_and_the_run(world: World, ended: Run, tmp_path: Path) -> None:
    write(tmp_path, ended, world.auditor)
    crate = read(tmp_path, "ro-crate-metadata.json")
    entities = {item["@id"]: item for item in crate["@graph"]}
    assert len(entities) == len(crate["@graph"])
    assert entities["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    parts = {item["@id"] for item in entities["./"]["hasPart"]}
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert there - parts == {"ro-crate-metadata.json", "manifest.json", "signature.json"}
    assert parts <= there
    named = re.findall(r'"@id": "([^"]+)"', json.dumps(crate))
    assert {name for name in named if name not in entities and not name.startswith("http")} == set()
    action = entities["#run"]
    assert (action["@type"], action["instrument"]) == ("CreateAction", {"@id": "script/bundle.fab"})
    assert entities["#value/learning-rate"]["exampleOfWork"] == {"@id": "#parameter/learning-rate"}
    for path in ("script/bundle.fab", "run/rounds.json"):
        assert entities[path]["sha256"] == digest((tmp_path / path).read_bytes())


def test_a_bill_names_what_the_script_and_the_nodes_stand_on(world: World, ended: Run, tmp_path: Path) -> None:
    write(tmp_path, ended, world.auditor)
    bill = read(tmp_path, "script/sbom.cdx.json")
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": world.version.sha256}]
    found = {item["bom-ref"]: item for item in bill["components"]}
    assert found["declared:flwr>=1.41.0"]["purl"] == "pkg:pypi/flwr"
    assert found["node:0.1.0"]["properties"][0]["value"].startswith("Cleveland Clinic")
    assert found["centre:flwr"]["version"] == "1.41.0"
    assert bill["dependencies"] == [{"ref": "script", "dependsOn": ["declared:flwr>=1.41.0"]}]


def test_versions_are_told_with_what_each_changed(world: World) -> None:
    second = submit_version(script=world.script, bundle=fab("1.0.1"), by=world.pi)
    first, then = history_of(second)
    assert (first.number, first.diff, first.path) == (1, "", "")
    assert (then.files, then.plus, then.minus) == (("pyproject.toml",), 1, 1)
    assert '-version = "1.0.0"\n+version = "1.0.1"\n' in then.diff
    assert history_of(world.version) == [first]


def test_a_released_model_goes_to_those_who_may_have_it(world: World, ended: Run, tmp_path: Path) -> None:
    asked = request_release(run=ended, recipient="A registry", purpose="To predict elsewhere", by=world.pi)
    steward = holder_of(Role.STEWARD, world.site)
    cosign_release(release=asked, site=world.site, by=steward)
    sequence()
    assert write(tmp_path / "pi", ended, world.pi).ok
    assert (tmp_path / "pi/model/model.safetensors").read_bytes() == PARAMETERS
    (told,) = read(tmp_path / "pi", "model/model.json")["releases"]
    assert (told["state"], told["signatures"][0]["name"]) == ("released", steward.name)
    assert write(tmp_path / "auditor", ended, world.auditor).ok
    assert not (tmp_path / "auditor/model/model.safetensors").exists()
    assert Event.objects.filter(action="runs:model:downloaded").count() == 1
    assert Release.objects.get().state == "released"


def test_site_people_get_their_part_of_the_log(world: World, ended: Run, tmp_path: Path) -> None:
    mine, all_of_it = write(tmp_path / "site", ended, world.site_admin), write(tmp_path / "all", ended, world.auditor)
    assert (mine.ok, all_of_it.ok) == (True, True)
    assert 0 < mine.events < all_of_it.events


def test_a_dossier_is_taken_by_page_and_api_and_noted(world: World, ended: Run, tmp_path: Path) -> None:
    page, there = reverse("web:run", args=[ended.pk]), reverse("web:run-dossier", args=[ended.pk])
    auditor = Client()
    auditor.force_login(world.auditor, backend="django.contrib.auth.backends.ModelBackend")
    assert there in assert_sound(auditor.get(page).content.decode()).targets
    answers = [auditor.get(there), world.client("auditor").get(f"/api/v1/runs/{ended.pk}/dossier")]
    for answer in answers:
        assert answer.headers["Content-Disposition"] == f'attachment; filename="dossier-first-{str(ended.pk)[:8]}.zip"'
        file = tmp_path / "dossier.zip"
        file.write_bytes(answer.getvalue())
        assert verify_dossier(file, Trust(str(SIGNER.key))).problems == []
    noted = Event.objects.filter(action="runs:dossier:exported").order_by("pk")
    assert [event.actor_label for event in noted] == [world.auditor.name] * 2
    names = zipfile.ZipFile(tmp_path / "dossier.zip").namelist()
    assert json.loads(noted[1].detail)["files"] == len([name for name in names if not name.startswith("log/")]) - 3


def test_more_rounds_cost_no_more_queries(world: World, ended: Run) -> None:
    with CaptureQueriesContext(connection) as few:
        facts_of(Run.objects.get(pk=ended.pk), by=world.pi)
    for number in (3, 4, 5):
        commit_round(ended, number)
    with CaptureQueriesContext(connection) as more:
        assert len(facts_of(Run.objects.get(pk=ended.pk), by=world.pi).rounds) == 5
    assert len(few) == len(more)


def test_there_is_no_dossier_of_a_run_that_goes_on(world: World) -> None:
    run = set_to_work(world)
    commit_round(run, 1)
    sequence()
    with pytest.raises(Conflict) as refused:
        make_dossier(run=run, by=world.pi)
    assert refused.value.code == "E_STATE"
    assert not Event.objects.filter(action="runs:dossier:exported").exists()


def test_a_log_that_stands_still_is_waited_for_in_vain(
    world: World, ended: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first who asks sees their file break off; whoever asks later is told at once, and nothing is noted."""
    monkeypatch.setattr(waiting, "_is_signed", lambda event: False)
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.0)
    sequence()
    files = make_dossier(run=ended, by=world.pi)
    with pytest.raises(Conflict, match="E_LOG_BEHIND"):
        for _, pieces in files:
            list(pieces)
    assert noted() == 1
    with pytest.raises(Conflict, match="E_LOG_BEHIND"):
        make_dossier(run=ended, by=world.pi)
    assert noted() == 1


def test_who_waits_for_the_log_is_told_that_there_is_nothing_yet(
    world: World, ended: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([False, False])

    def is_signed(event: Event) -> bool:
        return next(looks, True) and bool(sequence())

    monkeypatch.setattr(waiting, "_is_signed", is_signed)
    pieces = [piece for _, content in make_dossier(run=ended, by=world.pi) for piece in content]
    assert pieces.count(waiting.NOTHING_YET) == 2


def noted() -> int:
    return Event.objects.filter(action="runs:dossier:exported").count()

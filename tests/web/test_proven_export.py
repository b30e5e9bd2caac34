"""What an auditor takes away with proofs: a page's file, which verifies without the portal."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone

from audit.models import Event, Leaf
from audit.services import record
from federation.runs.accounts import accounted
from fedstudy_core.keys import generate, public_text
from fedstudy_core.receipts import Receipt, sign_receipt
from fedstudy_core.times import format_time
from fedstudy_verify.verifying import Trust, verify
from nodes.registry.services import set_approvers
from tests.api.world import World
from tests.audit.logs import SIGNER, sequence, write_events
from tests.web.conftest import Browser
from tests.web.rounds import commit_round

pytestmark = pytest.mark.django_db


def commit_with_receipt(world: World) -> None:
    """A round in which the site ran what it approved, with its node's receipt."""
    now = format_time(timezone.now())
    facts = {
        "run": str(world.run.pk), "flower_run": "1", "round": 1, "phase": "train", "study": str(world.study.pk),
        "site": str(world.site.pk), "node": str(world.node.pk), "outcome": "done", "update_sha256": "d" * 64,
        "script_sha256": world.version.sha256, "approval": world.approval.statement_id, "examples": 80,
        "dataset": {"id": str(world.dataset.pk), "fingerprint": world.dataset.fingerprint},
        "started_at": now, "ended_at": now, "sandbox": "S1", "agent_version": "1", "sequence": 1,
    }  # fmt: skip
    receipt = sign_receipt(Receipt.model_validate(facts), world.keys.identity)
    commit_round(world.run, 1, receipt=receipt)
    row = {"site": world.site.name, "state": "done", "round": 1} | accounted(receipt, "d" * 64)
    detail = {"round": 1, "model_in": "", "model_out": "1", "sites": [row]}
    record(action="runs:round:committed", actor="system:engine", obj=world.run, study=world.study, detail=detail)


def test_an_auditor_takes_a_study_away_and_an_altered_copy_is_refused(
    world: World, browser: Browser, tmp_path: Path
) -> None:
    sequence()
    commit_with_receipt(world)
    write_events(3)  # of no study
    sequence()
    study = str(world.study.pk)
    answer = browser("auditor").get(reverse("web:study-events", args=[study]), {"form": "proof"})
    assert answer.headers["Content-Disposition"] == 'attachment; filename="fedstudy-log.zip"'
    file = tmp_path / "log.zip"
    file.write_bytes(answer.getvalue())
    found = verify(file, Trust(str(SIGNER.key)))
    assert (found.ok, found.problems) == (True, [])
    keys = Event.objects.filter(action="registry:key:registered", object_id=str(world.node.pk)).count()
    assert keys == 2, "the node's own and its approver's"
    assert (found.events, found.size) == (Event.objects.filter(study=study).count() - 1 + keys, Leaf.objects.count())
    assert found.checks == {"approvals": "ok", "receipts": "ok", "executions": "ok"}
    assert found.checked == {"approvals": 1, "receipts": 1, "executions": 1}
    noted = Event.objects.get(action="audit:log:exported")
    assert json.loads(noted.detail)["form"] == "an export that proves itself"
    mark = zipfile.ZipFile(file).comment.decode()
    assert mark.startswith(f"Taken by {world.auditor.name} on "), "who finds the file sees whose it was"
    assert f"event {noted.event_id} of the log" in mark
    rows = zipfile.ZipFile(file).read("log.jsonl")
    altered = tmp_path / "altered"
    zipfile.ZipFile(file).extractall(altered)
    (altered / "log.jsonl").write_bytes(rows.replace(b"enrolment:site:ready", b"enrolment:site:reads", 1))
    line = rows[: rows.index(b"enrolment:site:ready")].count(b"\n") + 1
    told = verify(altered)
    assert not told.ok
    assert (told.first_bad_row or {})["line"] == line
    (altered / "log.jsonl").write_bytes(rows)
    documents = (altered / "envelopes.jsonl").read_bytes().splitlines(keepends=True)
    (altered / "envelopes.jsonl").write_bytes(documents[0])
    told = verify(altered)
    assert (told.first_bad_row or {})["file"] == "envelopes.jsonl"
    assert told.problems[0] == "Row 2 of envelopes.jsonl: it is not there."


def test_only_those_peoples_keys_are_told_of_who_signed(world: World, browser: Browser, tmp_path: Path) -> None:
    """Whoever else may sign at the node is nobody's business who audits one study."""
    other = public_text(generate().public_key())
    added = {"kind": "console", "name": "Somebody Else", "role": "data steward", "key": other}
    set_approvers(node=world.node, approvers=[*world.node.approvers, added])
    sequence()
    answer = browser("auditor").get(reverse("web:study-events", args=[str(world.study.pk)]), {"form": "proof"})
    file = tmp_path / "log.zip"
    file.write_bytes(answer.getvalue())
    assert verify(file).checks["approvals"] == "ok"
    rows = zipfile.ZipFile(file).read("log.jsonl")
    assert b"Ada Admin" in rows
    assert b"Somebody Else" not in rows


def test_there_is_no_export_before_anything_is_signed(world: World, browser: Browser) -> None:
    answer = browser("auditor").get(reverse("web:events"), {"form": "proof"})
    assert answer.status_code == 409
    assert not Event.objects.filter(action="audit:log:exported").exists()

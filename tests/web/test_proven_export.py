"""What an auditor takes away with proofs: a page's file, which verifies without the portal."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from django.urls import reverse

from audit.models import Event, Leaf
from fedstudy_verify.verifying import Trust, verify
from tests.api.world import World
from tests.audit.logs import SIGNER, sequence, write_events
from tests.web.conftest import Browser

pytestmark = pytest.mark.django_db


def test_an_auditor_takes_a_study_away_and_an_altered_copy_is_refused(
    world: World, browser: Browser, tmp_path: Path
) -> None:
    sequence()
    write_events(3)  # of no study
    sequence()
    study = str(world.study.pk)
    answer = browser("auditor").get(reverse("web:study-events", args=[study]), {"form": "proof"})
    assert answer.headers["Content-Disposition"] == 'attachment; filename="fedstudy-log.zip"'
    file = tmp_path / "log.zip"
    file.write_bytes(answer.getvalue())
    found = verify(file, Trust(str(SIGNER.key)))
    assert (found.ok, found.problems) == (True, [])
    assert (found.events, found.size) == (Event.objects.filter(study=study).count() - 1, Leaf.objects.count())
    noted = Event.objects.get(action="audit:log:exported")
    assert json.loads(noted.detail)["form"] == "an export that proves itself"
    rows = zipfile.ZipFile(file).read("log.jsonl")
    altered = tmp_path / "altered"
    zipfile.ZipFile(file).extractall(altered)
    (altered / "log.jsonl").write_bytes(rows.replace(b"enrolment:site:ready", b"enrolment:site:reads", 1))
    line = rows[: rows.index(b"enrolment:site:ready")].count(b"\n") + 1
    told = verify(altered)
    assert not told.ok
    assert (told.first_bad_row or {})["line"] == line


def test_there_is_no_export_before_anything_is_signed(world: World, browser: Browser) -> None:
    answer = browser("auditor").get(reverse("web:events"), {"form": "proof"})
    assert answer.status_code == 409
    assert not Event.objects.filter(action="audit:log:exported").exists()

"""A study's file against the portal: plan, apply, apply again, and what hinders it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.utils import timezone

from accounts.services import create_site
from federation.runs.models import Run
from fedstudy_client import FedStudy, FedStudyProblem
from fedstudy_client.study_code import applying
from fedstudy_client.study_code.applying import Study
from fedstudy_client.study_code.reading import read_study
from nodes.registry.keys import signers
from studies.dictionary.models import Dataset
from studies.lifecycle.models import Study as StudyRow
from studies.scripts.models import ScriptVersion
from studies.scripts.services import record_approval
from tests.api.world import VARIABLES, World, fab, facts
from tests.client.portals import Portal

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("nobody_tried_yet"),
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),
]
Act = Callable[[], Any]
SITE = "Cleveland Clinic"


def described(**changes: Any) -> dict[str, Any]:
    """A study of the world's site with one script and one run."""
    return {
        "study": {"title": "Hearts by file", "summary": "One file", "aims": "Predict", "protocol": "protocol.md"},
        "people": [{"email": "auditor@demo.example", "role": "auditor"}],
        "dictionary": VARIABLES,
        "sites": [{"name": SITE}],
        "scripts": [{"name": "regression", "path": "tiny.fab"}],
        "runs": [{"label": "First", "script": "regression", "rounds": 3, "config": {"learning-rate": 0.5}}],
        **changes,
    }


class Desk:
    """The PI with a study's file, and the hospital's people, who act while the PI's `apply` waits."""

    def __init__(self, pi: FedStudy, admin: FedStudy, world: World, folder: Path) -> None:
        self.pi, self.admin, self.world, self.folder = pi, admin, world, folder
        (folder / "protocol.md").write_text("# Protocol\n")
        (folder / "tiny.fab").write_bytes(fab())
        self.write()

    def write(self, **changes: Any) -> None:
        """Write the file anew."""
        (self.folder / "study.yaml").write_text(yaml.safe_dump(described(**changes), sort_keys=False))

    def study(self) -> Study:
        self.done: list[str] = []
        self.waited: list[str] = []
        return Study(
            self.pi,
            read_study(self.folder / "study.yaml"),
            told=lambda step: self.done.append(f"{step.action} {step.part} {step.name}"),
            looked=lambda plan: self.waited.extend(step.detail for step in plan.waits if step.part == "site"),
        )

    def apply(self, monkeypatch: pytest.MonkeyPatch, acts: Sequence[Act] = ()) -> list[str]:
        """Apply; each time it waits, the next of the acts happens. Returns what it did."""
        left = iter(acts)
        monkeypatch.setattr(applying.time, "sleep", lambda _: next(left)())
        self.study().apply(None if acts else 0)
        assert next(left, None) is None
        return self.done

    def row(self) -> StudyRow:
        return StudyRow.objects.get(title="Hearts by file")

    def accept(self) -> None:
        mine = next(item for item in self.admin.enrolments.list() if item.study.name == "Hearts by file")
        self.admin.enrolments.accept(mine)

    def offer(self) -> None:
        told = facts(str(self.row().pk), name="hearts", fingerprint="e" * 64)
        assert self.world.keys.send(self.world.node.pk, "POST", "datasets", told).status_code == 201

    def offer_what_does_not_fit(self) -> None:
        wrong = {"variable": "age", "code": "out_of_range", "severity": "error", "count_band": "1-9"}
        findings = [
            {**wrong, "detail": "Values outside 18 to 110 years."},
            {**wrong, "severity": "warning", "detail": "."},
        ]
        report = {"checked": True, "passed": False, "findings": findings}
        told = facts(str(self.row().pk), name="hearts", fingerprint="d" * 64, report=report)
        assert self.world.keys.send(self.world.node.pk, "POST", "datasets", told).status_code == 201

    def sign(self) -> None:
        version = ScriptVersion.objects.filter(script__study=self.row()).latest("number")
        here = replace(
            self.world, study=self.row(), version=version, dataset=Dataset.objects.get(study=self.row(), state="valid")
        )
        record_approval(
            version=version, site=here.site, node_id=str(here.node.pk), dataset=here.dataset,
            envelope=base64.b64decode(here.envelope(nonce="m" * 20, sequence=2)),
            trusted=signers(here.node.identity_key, here.node.approvers), by=here.node,
        )  # fmt: skip

    def go_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The portal is away for one look."""

        def away() -> Any:
            monkeypatch.setattr(self.pi, "me", me)
            raise FedStudyProblem("E_UNREACHABLE", "The portal does not answer.")

        me = self.pi.me
        monkeypatch.setattr(self.pi, "me", away)

    def finish(self, state: str = "completed") -> None:
        now = timezone.now()
        runs = Run.objects.filter(study=self.row(), ended_at=None)
        for step in ({"state": "waiting", "admitted_at": now}, {"state": "running", "started_at": now}):
            runs.update(**step)
        runs.update(state=state, ended_at=now)


@pytest.fixture
def desk(world: World, tmp_path: Path) -> Iterator[Desk]:
    with ExitStack() as stack:
        portal = Portal(stack)
        yield Desk(portal.client("pi@demo.example"), portal.client("ada@demo.example"), world, tmp_path)


def actions(desk: Desk) -> list[str]:
    return [step.action for step in desk.study().plan().steps]


def test_a_plan_changes_nothing(desk: Desk) -> None:
    assert actions(desk) == ["create"] * 7
    assert actions(desk) == ["create"] * 7
    assert not StudyRow.objects.filter(title="Hearts by file").exists()


def test_a_study_from_nothing_to_results_and_through_its_changes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Applied, interrupted, applied to its end, applied again; then its file changes."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.apply(monkeypatch, [desk.accept, interrupt])
    assert desk.done == [
        "create study Hearts by file",
        "create person auditor@demo.example",
        "create protocol protocol.md",
        "create dictionary 2 variables",
        "create script regression",
        "change study Hearts by file",
        f"create site {SITE}",
    ]
    assert list(dict.fromkeys(desk.waited)) == ["It has not answered the invitation.", "It has not offered a dataset."]

    done = desk.apply(monkeypatch, [desk.offer_what_does_not_fit, desk.offer, desk.sign, desk.finish])
    assert done == ["create run First", "change study Hearts by file", "start run First"]
    assert list(dict.fromkeys(desk.waited)) == [
        "It has not offered a dataset.",
        "Its dataset “hearts” does not fit the dictionary: age: Values outside 18 to 110 years.",
        "It has not signed “regression” v1.",
    ]
    run = Run.objects.get(study=desk.row())
    assert (run.rounds, run.config["learning-rate"], run.quorum) == (3, 0.5, 1)

    assert set(actions(desk)) == {"nothing"}
    assert desk.apply(monkeypatch) == []

    first = described()["runs"][0]
    desk.write(runs=[{**first, "rounds": 4}, {**first, "label": "Second"}])
    with pytest.raises(FedStudyProblem, match="E_RUN_DIFFERS") as caught:
        desk.apply(monkeypatch)
    assert "rounds is 3 at the portal, 4 in the file" in caught.value.errors[0].detail
    desk.write(runs=[{**first, "config": {"learning-rate": 0.25}}])
    with pytest.raises(FedStudyProblem, match="E_RUN_DIFFERS") as caught:
        desk.apply(monkeypatch)
    assert "config.learning-rate is 0.5 at the portal, 0.25 in the file" in caught.value.errors[0].detail
    assert Run.objects.filter(study=desk.row()).count() == 1

    desk.write(runs=[first, {**first, "label": "Second", "rounds": 4}])
    done = desk.apply(monkeypatch, [lambda: desk.finish("failed")])
    assert done == ["create run Second", "start run Second"]
    assert [step.detail.split(",")[0] for step in desk.study().plan().steps if step.part == "run"] == [
        "completed",
        "failed",
    ]

    weight = {"name": "weight", "type": "number", "min": 30, "max": 250.5}
    desk.write(study={**described()["study"], "aims": "Explain"}, dictionary=[*VARIABLES, weight], runs=[])
    (desk.folder / "protocol.md").write_text("# Protocol, amended\n")
    (desk.folder / "tiny.fab").write_bytes(fab("1.1.0"))
    with pytest.raises(FedStudyProblem, match="is not checked against the newest dictionary"):
        desk.apply(monkeypatch)
    assert desk.done == [
        "change study Hearts by file",
        "change protocol protocol.md",
        "change dictionary 3 variables",
        "change script regression",
    ]
    desk.offer()
    assert desk.apply(monkeypatch) == []
    desk.write(dictionary=[*VARIABLES, weight])
    with pytest.raises(FedStudyProblem, match="the script is another version"):
        desk.apply(monkeypatch)

    desk.pi.studies.transition(str(desk.row().pk), "closed")
    changed = {"study": {**described()["study"], "aims": "Explain"}, "dictionary": [*VARIABLES, weight], "runs": []}
    desk.write(**changed)
    assert desk.apply(monkeypatch) == []
    desk.write(**changed, sites=[{"name": SITE}, {"name": "Zurich"}])
    with pytest.raises(FedStudyProblem, match="The study is closed"):
        desk.apply(monkeypatch)


def test_waiting_ends_and_says_for_what(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FedStudyProblem) as caught:
        desk.apply(monkeypatch)
    assert caught.value.code == "E_WAITING"
    assert [(error.field, error.detail) for error in caught.value.errors] == [
        (f"site “{SITE}”", "It has not answered the invitation.")
    ]


def test_a_site_that_declined_stops_a_run_that_needs_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def decline() -> None:
        mine = next(item for item in desk.admin.enrolments.list() if item.study.name == "Hearts by file")
        desk.admin.enrolments.decline(mine, reason="No data")

    with pytest.raises(FedStudyProblem, match="Cleveland Clinic has declined") as caught:
        desk.apply(monkeypatch, [lambda: desk.go_away(monkeypatch), decline])
    assert caught.value.code == "E_SITE_LEFT"
    desk.write(runs=[])
    assert desk.apply(monkeypatch) == [], "nobody waits for a site that left"


def test_an_unknown_site_is_named_with_those_that_are_like_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    create_site(name="Zurich", short_name="zurich", by=desk.world.admin)
    desk.write(sites=[{"name": "Cleveland Clinik"}])
    with pytest.raises(FedStudyProblem, match="Do you mean Cleveland Clinic") as caught:
        desk.apply(monkeypatch)
    assert caught.value.code == "E_SITE"


def test_a_draft_is_made_once(desk: Desk) -> None:
    assert desk.study().draft().comparing.study().state == "draft"
    with pytest.raises(FedStudyProblem, match="E_EXISTS"):
        desk.study().draft()


def test_a_run_that_has_not_begun_takes_another_priority(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FedStudyProblem, match="E_WAITING"):
        desk.apply(monkeypatch)
    desk.accept()
    desk.offer()
    with pytest.raises(FedStudyProblem, match="E_WAITING"):
        desk.apply(monkeypatch)
    desk.write(runs=[{**described()["runs"][0], "priority": "high"}])
    with pytest.raises(FedStudyProblem, match="E_WAITING"):
        desk.apply(monkeypatch)
    assert desk.done == ["change run First"]
    assert Run.objects.get(study=desk.row()).priority == "high"

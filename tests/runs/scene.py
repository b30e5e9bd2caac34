"""A study whose sites are ready, written straight into the database: the engine's tests begin where it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from accounts.models import Site, User
from federation.runs import engine
from federation.runs.models import Participant, Participation, Run
from federation.runs.roles import TRAINS
from fedstudy_core.keys import Ed25519PrivateKey, generate, public_text
from nodes.registry.models import Node
from studies.dictionary.models import Dataset, DictionaryVersion
from studies.enrolment.models import Enrolment
from studies.lifecycle.models import Study
from studies.scripts.models import Approval, Script, ScriptVersion

DECLARATION = {
    "initial": "query.initial",
    "sums": "query.moments",
    "metrics": {"bins": "histogram"},
    "headline": "loss",
}


@dataclass
class Scene:
    run: Run
    nodes: list[Node]
    keys: dict[str, Ed25519PrivateKey]

    def lost(self, node: Node) -> None:
        """The node has not been heard of for an hour."""
        Node.objects.filter(pk=node.pk).update(last_seen_at=timezone.now() - timedelta(hours=1))

    def heard_of(self, *nodes: Node) -> None:
        for node in nodes:
            node.last_seen_at = timezone.now()
            node.save()

    def reload(self) -> Run:
        self.run = Run.objects.get(pk=self.run.pk)
        return self.run


def build(
    *,
    sites: int = 3,
    quorum: int | None = None,
    rounds: int = 2,
    deadline_s: int = 60,
    wait_s: int = 0,
    transport: str = "float32",
    parts: Sequence[tuple[str, str]] = (),
    strategy: str = "fedavg",
) -> Scene:
    """A run that waits for its sites, all of them online and approved.

    Args:
        parts: level and role of each site; all train where there are none.
    """
    parts = parts or [("F2", TRAINS)] * sites
    pi = User.objects.create(email="pi@demo.example", name="Demo PI")
    study = Study.objects.create(title="Demo study", slug="demo", created_by=pi)
    script = Script.objects.create(study=study, name="demo", created_by=pi)
    version = ScriptVersion.objects.create(
        script=script,
        number=1,
        sha256="a" * 64,
        size=4,
        bundle=b"fab!",
        files=[],
        declaration=DECLARATION,
        created_by=pi,
    )
    run = Run.objects.create(
        study=study,
        version=version,
        label="Demo run",
        state="waiting",
        strategy=strategy,
        config={"local-steps": 5},
        rounds=rounds,
        quorum=quorum or sum(role == TRAINS for _, role in parts),
        tests_apart=any(role != TRAINS for _, role in parts),
        deadline_s=deadline_s,
        transport=transport,
        wait_s=wait_s,
        created_by=pi,
        queued_at=timezone.now(),
        admitted_at=timezone.now(),
    )
    dictionary = DictionaryVersion.objects.create(study=study, number=1, variables=[], sha256="d" * 64, created_by=pi)
    scene = Scene(run, [], {})
    for position, part in enumerate(parts):
        _add_site(scene, study, version, dictionary, position, pi, part)
    return scene


def _add_site(
    scene: Scene,
    study: Study,
    version: ScriptVersion,
    dictionary: DictionaryVersion,
    position: int,
    pi: User,
    part: tuple[str, str],
) -> None:
    level, role = part
    now = timezone.now()
    site = Site.objects.create(name=f"Site {position}", short_name=f"site-{position}")
    key = generate()
    node = Node.objects.create(
        site=site,
        name="node",
        state="active",
        identity_key=public_text(key.public_key()),
        flower_key=f"flower-{position}",
        approval_key=f"approval-{position}",
        words="six words",
        flower_node_id=str(100 + position),
        last_seen_at=now,
        created_by=pi,
        confirmed_at=now,
        confirmed_by=pi,
    )
    dataset = Dataset.objects.create(
        study=study,
        site=site,
        node_id=str(node.pk),
        dictionary=dictionary,
        name="rows",
        fingerprint="f" * 64,
        format="csv",
        rows_band="100-499",
    )
    enrolment = Enrolment.objects.create(
        study=study,
        site=site,
        state="ready",
        level=level,
        dataset=dataset,
        ready_at=now,
        invited_by=pi,
        answered_at=now,
        answered_by=pi,
    )
    approval = Approval.objects.create(
        version=version,
        site=site,
        node_id=str(node.pk),
        dataset=dataset,
        envelope=b"signed",
        statement={},
        statement_id=f"{position:064x}",
        decision="approved",
        signed_at=now,
        not_before=now,
        not_after=now + timedelta(days=30),
        approver_name="Demo Admin",
        key_id="k" * 64,
    )
    Participant.objects.create(
        run=scene.run, enrolment=enrolment, node=node, approval=approval, position=position, level=level, role=role
    )
    scene.nodes.append(node)
    scene.keys[node.flower_node_id] = key


def drive(scene: Scene, *, seconds: float = 10.0) -> Run:
    """Drive until the run is over."""
    while engine.drive(scene.run.pk, budget_s=seconds) is not None:
        scene.heard_of(*[node for node in scene.nodes if node.last_seen_at is not None])
    return scene.reload()


def settle(run: Run, phase: str, number: int) -> dict[str, tuple[str, str]]:
    """How each site's part in a phase of a round ended, by site."""
    rows = Participation.objects.filter(round__run=run, round__number=number, phase=phase)
    return {row.participant.enrolment.site.name: (row.state, row.code) for row in rows}

"""A portal with one study that is ready for runs, and people in every role; made by the services."""

from __future__ import annotations

import base64
import io
import json
import warnings
import zipfile
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.utils import timezone
from rest_framework.response import Response
from rest_framework.test import APIClient

from accounts.models import Site, User
from accounts.roles import Role
from accounts.services import create_site, grant_role
from accounts.tokens import begin_program_session
from federation.runs.models import Run
from federation.runs.services import Plan, create_run
from fedstudy_core import bundle, signed_request
from fedstudy_core.keys import generate, key_id, public_text
from fedstudy_core.statement import Statement, sign_statement
from fedstudy_core.times import format_time
from fedstudy_core.wire import DatasetRequest
from nodes.registry.keys import signers
from nodes.registry.models import Node
from nodes.registry.services import confirm_node, enrol_node, expect_node
from studies.dictionary.models import Dataset
from studies.dictionary.services import publish_dictionary, register_dataset
from studies.enrolment.models import Enrolment
from studies.enrolment.services import accept_invitation, invite_site
from studies.lifecycle.models import Study
from studies.lifecycle.services import add_protocol, create_study, move_study
from studies.scripts.models import Approval, Script, ScriptVersion
from studies.scripts.services import create_script, record_approval, submit_version

PASSWORD = "correct horse battery staple"
PROJECT = """
[project]
name = "tiny"
version = "{version}"
description = "A script of the tests"
license = "Apache-2.0"
dependencies = ["flwr>=1.41.0"]

[tool.flwr.app]
publisher = "tests"
fab-include = ["/tiny/*.py"]

[tool.flwr.app.components]
serverapp = "tiny.server:app"
clientapp = "tiny.client:app"

[tool.flwr.app.config]
num-server-rounds = 3
learning-rate = 0.1

[tool.fedstudy]
initial = "query.initial_model"
headline = "loss"

[tool.fedstudy.metrics]
loss = "mean"

[tool.fedstudy.parameters.learning-rate]
min = 0.0
max = 1.0
description = "Step size"
"""
VARIABLES = [
    {"name": "age", "label": "Age", "type": "integer", "unit": "years", "min": 18, "max": 110},
    {"name": "stenosis", "label": "Stenosis over 50 %", "type": "boolean"},
]


def sources(version: str = "1.0.0") -> dict[str, bytes]:
    """The files of a small Flower app."""
    return {
        "pyproject.toml": PROJECT.format(version=version).encode(),
        "tiny/__init__.py": b'"""Tiny."""\n',
        "tiny/client.py": b'"""Client."""\n\napp = None\n',
        "tiny/server.py": b'"""Server."""\n\napp = None\n',
    }


@cache
def fab(version: str = "1.0.0") -> bytes:
    """The app as a bundle; made once, as Flower is slow to start."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return bundle.build(sources(version))


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return buffer.getvalue()


@dataclass
class NodeKeys:
    """A node's private side, and its requests."""

    identity: Ed25519PrivateKey = field(default_factory=generate)
    approval: Ed25519PrivateKey = field(default_factory=generate)
    flower: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP384R1()))
    sequence: int = 0

    def public(self) -> dict[str, str]:
        """The keys as a node introduces itself with them."""
        pem = self.flower.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {
            "identity_key": public_text(self.identity.public_key()),
            "approval_key": public_text(self.approval.public_key()),
            "flower_key": pem.decode("ascii"),
        }

    def proof(self, token: str) -> str:
        """That the node holds its identity key."""
        return base64.b64encode(self.identity.sign(token.encode())).decode("ascii")

    def send(
        self,
        node: UUID,
        method: str,
        path: str,
        body: Any = None,
        *,
        now: datetime | None = None,
        sequence: int | None = None,
        key: Ed25519PrivateKey | None = None,
    ) -> Response:
        """A signed request; `now`, `sequence` and `key` are for requests that are not in order."""
        self.sequence += 1
        address = f"/api/v1/node/{path}"
        content = b"" if body is None else json.dumps(body).encode()
        headers = signed_request.sign(
            key or self.identity,
            node=str(node),
            method=method,
            path=address,
            body=content,
            now=now or timezone.now(),
            sequence=self.sequence if sequence is None else sequence,
        )
        answer: Response = APIClient().generic(
            method, address, content, content_type="application/json", headers=headers
        )
        return answer


@dataclass
class World:
    """People, a study and everything in it. Clients are signed in, in sessions of their own."""

    admin: User
    pi: User
    auditor: User
    site_admin: User
    stranger: User
    site: Site
    study: Study
    keys: NodeKeys
    node: Node
    enrolment: Enrolment
    dataset: Dataset
    script: Script
    version: ScriptVersion
    approval: Approval
    run: Run

    def client(self, who: str) -> APIClient:
        """A client of "anonymous", "stranger", "pi", "site_admin", "auditor" or "admin"."""
        client = APIClient()
        if who != "anonymous":
            _, token = begin_program_session(user=getattr(self, who))
            client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        return client

    def statement(self, **changes: Any) -> Statement:
        """An approval of the version for the dataset, as the site would sign it."""
        now = timezone.now().replace(microsecond=0)
        values: dict[str, Any] = {
            "v": 1,
            "study": str(self.study.pk),
            "site": str(self.site.pk),
            "node": str(self.node.pk),
            "script": {"sha256": self.version.sha256, "size": self.version.size},
            "dataset": {"id": str(self.dataset.pk), "fingerprint": self.dataset.fingerprint},
            "run_config": {},
            "rounds": 50,
            "privacy": {"min_sites": 1},
            "outputs": {"phases": ["query", "train", "evaluate"], "max_bytes": 1_000_000},
            "limits": {"wall_s": 60, "memory_mb": 1024},
            "sandbox_min": "S0",
            "meaning": "approved",
            "approvers": [self.signer],
            "nonce": "n" * 20,
            "sequence": 1,
            "revocation_epoch": 0,
            "issued_at": format_time(now),
            "not_before": format_time(now - timedelta(minutes=1)),
            "not_after": format_time(now + timedelta(days=30)),
        }
        return Statement.model_validate({**values, **changes})

    @property
    def signer(self) -> dict[str, str]:
        """The site's approver, as a statement names them."""
        return {"key": key_id(self.keys.approval.public_key()), "name": "Ada Admin", "role": "site admin"}

    def envelope(self, **changes: Any) -> str:
        """The signed statement in base64."""
        return base64.b64encode(sign_statement(self.statement(**changes), self.keys.approval)).decode("ascii")


def person(email: str, name: str, **fields: Any) -> User:
    """An account."""
    return User.objects.create_user(email, PASSWORD, name=name, **fields)


ACCOUNT = {"email": "new@demo.example", "name": "New Person", "password": PASSWORD}


def introduction(token: str, keys: NodeKeys | None = None) -> dict[str, Any]:
    """A node's first words."""
    mine = keys or NodeKeys()
    return {"token": token, "name": "node", "proof": mine.proof(token), "agent_version": "0.1.0", **mine.public()}


def another_site(world: World) -> str:
    """The id of a site that could be invited."""
    return str(create_site(name="Hungarian Institute", short_name="hungary", by=world.admin).pk)


def enrolled_node(site: Site, name: str, keys: NodeKeys, by: User) -> Node:
    """A node that introduced itself and waits to be confirmed."""
    _, token = expect_node(site=site, name=name, by=by)
    return enrol_node(
        token=token,
        name=name,
        keys=keys.public(),
        approver="Ada Admin",
        proof=keys.proof(token),
        agent_version="0.1.0",
    )


def facts(study: str, **changes: Any) -> dict[str, Any]:
    """What a node tells of a dataset."""
    values: dict[str, Any] = {
        "study": study,
        "name": "rows",
        "fingerprint": "f" * 64,
        "format": "csv",
        "rows_band": "100-499",
        "columns": ["age", "stenosis"],
        "report": {"checked": True, "passed": True, "findings": []},
    }
    return {**values, **changes}


def build() -> World:
    """A study of one site that is ready, with an approved version and a planned run."""
    admin = person("admin@demo.example", "Alex Admin", is_platform_admin=True)
    stranger = person("stranger@demo.example", "Sam Stranger")
    pi, auditor = person("pi@demo.example", "Pat Investigator"), person("auditor@demo.example", "Ody Auditor")
    site_admin = person("ada@demo.example", "Ada Admin")
    site = create_site(name="Cleveland Clinic", short_name="cleveland", city="Cleveland", country="US", by=admin)
    grant_role(user=site_admin, role=Role.ADMIN, obj=site, by=admin)
    keys = NodeKeys()
    node = enrolled_node(site, "node-1", keys, site_admin)
    node = confirm_node(node=node, words=node.words, by=site_admin)
    cast = {"admin": admin, "pi": pi, "auditor": auditor, "site_admin": site_admin, "stranger": stranger}
    return furnish(cast, site, node, keys)


def furnish(
    cast: Mapping[str, User], site: Site, node: Node, keys: NodeKeys, title: str = "Heart disease in four centres"
) -> World:
    """A study of these people in which the site takes part, with an approved version and a planned run."""
    pi = cast["pi"]
    study = _study(title, pi, cast["auditor"])
    script = create_script(study=study, name="Logistic regression", by=pi)
    version = submit_version(script=script, bundle=fab(), by=pi)
    world = World(
        **cast, site=site, study=study, keys=keys, node=node, enrolment=Enrolment(), dataset=Dataset(),
        script=script, version=version, approval=Approval(), run=Run(),
    )  # fmt: skip
    take_part(world)
    world.study = move_study(study=study, to="active", by=pi)
    world.run = create_run(study=world.study, version=version, plan=Plan(label="First", rounds=3), by=pi)
    return world


def take_part(world: World) -> None:
    """The world's site accepts, offers a dataset, and approves the version."""
    invitation = invite_site(study=world.study, site=world.site, by=world.pi)
    enrolment = accept_invitation(enrolment=invitation, by=world.site_admin)
    told = DatasetRequest.model_validate(facts(str(world.study.pk)))
    world.dataset = register_dataset(
        study=world.study, site=world.site, node_id=world.node.pk, facts=told, by=world.node
    )
    world.approval = approve(world)
    world.enrolment = Enrolment.objects.get(pk=enrolment.pk)


def copy_of(world: World) -> World:
    """The same world in objects of its own."""
    return replace(world, **{item.name: copy(getattr(world, item.name)) for item in fields(world)})


def approve(world: World) -> Approval:
    """The site's approval of the version."""
    return record_approval(
        version=world.version,
        site=world.site,
        node_id=str(world.node.pk),
        dataset=world.dataset,
        envelope=base64.b64decode(world.envelope()),
        trusted=signers(world.node.identity_key, world.node.approvers),
        by=world.node,
    )


def _study(title: str, pi: User, auditor: User) -> Study:
    study = create_study(title=title, aims="Predict stenosis", by=pi)
    publish_dictionary(study=study, variables=VARIABLES, by=pi)
    add_protocol(study=study, filename="protocol.md", content=b"# Protocol\n", by=pi)
    grant_role(user=auditor, role=Role.AUDITOR, obj=study, by=pi)
    return move_study(study=study, to="recruiting", by=pi)

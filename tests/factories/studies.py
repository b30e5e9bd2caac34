"""A study with its sites, as far as a test needs it; made by the services, so that everything fits together."""

from __future__ import annotations

import uuid
import warnings
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.utils import timezone

from accounts import groups
from accounts.models import Site, User
from accounts.roles import Role
from fedstudy_core import bundle
from fedstudy_core.approvers import Approver
from fedstudy_core.keys import key_id
from fedstudy_core.statement import Statement, sign_statement
from fedstudy_core.times import format_time
from fedstudy_core.wire import DatasetRequest
from nodes.registry.keys import signers
from nodes.registry.models import Node
from studies.dictionary.models import Dataset
from studies.dictionary.services import publish_dictionary, register_dataset
from studies.enrolment.models import Enrolment
from studies.enrolment.services import accept_invitation, invite_site
from studies.lifecycle.models import Study
from studies.lifecycle.services import create_study
from studies.scripts.models import ScriptVersion
from studies.scripts.services import create_script, submit_version
from tests.core.builders import FILES, statement
from tests.factories.accounts import SiteFactory, UserFactory, holder_of
from tests.factories.registry import active_node

VARIABLES: list[dict[str, Any]] = [
    {"name": "age", "type": "integer", "unit": "a", "min": 18, "max": 120},
    {"name": "outcome", "type": "boolean"},
]


def new_study(*, state: str = "draft", title: str = "Demo study") -> tuple[Study, User]:
    """A study with its principal investigator, moved to a state past the guards of the way there."""
    pi = UserFactory.create(name="Demo Investigator")
    study = create_study(title=title, by=pi)
    way = ["draft", "recruiting", "active", "closed", "archived"]
    for step in way[1 : way.index(state) + 1]:
        study.state = step
        study.save()
    return study, pi


def new_site() -> tuple[Site, User]:
    """A site with its admin."""
    site = SiteFactory.create()
    groups.groups_of_site(site)
    return site, holder_of(Role.ADMIN, site)


def dataset_facts(**changes: Any) -> DatasetRequest:
    """What a node tells of a dataset that fits."""
    values: dict[str, Any] = {
        "study": str(uuid.uuid4()),
        "name": "rows",
        "fingerprint": "f" * 64,
        "format": "csv",
        "rows_band": "100-499",
        "columns": ["age", "outcome"],
        "report": {"checked": True, "passed": True, "findings": []},
    }
    return DatasetRequest.model_validate({**values, **changes})


@dataclass
class SiteInStudy:
    """A site that takes part in a study, with its people, node and dataset."""

    study: Study
    pi: User
    site: Site
    admin: User
    node: Node
    approval_key: Ed25519PrivateKey
    enrolment: Enrolment
    dataset: Dataset

    @property
    def trusted(self) -> dict[str, Approver]:
        """Those whose signature counts for this site."""
        return signers(self.node.identity_key, self.node.approvers)

    @property
    def signer(self) -> dict[str, str]:
        """The site's approver, as a statement names them."""
        key = key_id(self.approval_key.public_key())
        approver = self.trusted[key]
        return {"key": key, "name": approver.name, "role": approver.role}

    def envelope(self, version: ScriptVersion, **changes: Any) -> bytes:
        """The site's signed statement on a version."""
        return sign_statement(self.statement(version, **changes), self.approval_key)

    def statement(self, version: ScriptVersion, **changes: Any) -> Statement:
        now = timezone.now()
        values: dict[str, Any] = {
            "study": str(self.study.pk),
            "site": str(self.site.pk),
            "node": str(self.node.pk),
            "script": {"sha256": version.sha256, "size": version.size},
            "dataset": {"id": str(self.dataset.pk), "fingerprint": self.dataset.fingerprint},
            "approvers": [self.signer],
            "nonce": uuid.uuid4().hex,
            "issued_at": format_time(now),
            "not_before": format_time(now - timedelta(minutes=1)),
            "not_after": format_time(now + timedelta(days=90)),
        }
        return statement(**{**values, **changes})


def site_in_study(study: Study, pi: User) -> SiteInStudy:
    """A new site in a study that recruits or is active, ready for runs."""
    if not study.dictionary_versions.exists():
        publish_dictionary(study=study, variables=VARIABLES, by=pi)
    site, admin = new_site()
    enrolment = invite_site(study=study, site=site, by=pi)
    accept_invitation(enrolment=enrolment, by=admin)
    node, approval_key = active_node(site, admin)
    dataset = register_dataset(study=study, site=site, node_id=node.pk, facts=dataset_facts(), by=node)
    enrolment.refresh_from_db()
    return SiteInStudy(study, pi, site, admin, node, approval_key, enrolment, dataset)


def bundle_of(**files: bytes) -> bytes:
    """A bundle of the tiny script, with further files by the name of their module."""
    sources = {**FILES, **{f"tiny/{name}.py": content for name, content in files.items()}}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "GitWildMatchPattern", DeprecationWarning)  # of Flower's own build
        return bundle.build(sources)


def new_version(study: Study, pi: User) -> ScriptVersion:
    """The tiny script's first version in a study."""
    return submit_version(script=create_script(study=study, name="tiny", by=pi), bundle=bundle_of(), by=pi)

"""Objects in the states that requests of the table are about; made by the services, for a place."""

from __future__ import annotations

import base64
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import generate_totp_secret
from allauth.mfa.utils import encrypt
from django.utils import timezone

from accounts.asking import ask_for_role, make_join_code
from accounts.identities import link_identity
from accounts.invitations import invite_person
from accounts.models import AccessRequest, ApiToken, Identity, Invitation, Site, User
from accounts.roles import Role
from accounts.scopes import TokenScope
from accounts.services import create_site, grant_role, set_active
from accounts.tokens import begin_program_session, make_token
from audit.proofs import latest_checkpoint
from federation.degrees.models import DegreeComparison
from federation.degrees.services import compare_run
from federation.releases.card import card_of, model_of
from federation.releases.models import Release
from federation.releases.services import cosign_release
from federation.runs.models import Participation, Run, Schedule
from federation.runs.schedules import Timing, create_schedule, suspend_schedule
from federation.runs.services import pause_run, start_run, stop_run
from fedstudy_core.keys import generate, public_text
from fedstudy_core.revocation import Revocation, sign_revocation
from fedstudy_core.rotation import Rotation
from nodes.registry.models import Node
from nodes.registry.services import expect_node, set_approvers
from notifications.models import Notification
from notifications.services import notify
from studies.dictionary.models import DictionaryDraft
from studies.dictionary.selectors import newest_number
from studies.enrolment.models import Enrolment
from studies.enrolment.services import invite_site, withdraw_site
from studies.lifecycle.models import Study
from studies.lifecycle.services import create_study
from studies.pooling.models import PoolConsent
from studies.pooling.services import name_pool_node
from studies.scripts.models import ReviewThread, ScriptVersion
from studies.scripts.reviews import open_thread, resolve_thread
from studies.scripts.services import submit_version
from tests.api.world import VARIABLES, NodeKeys, enrolled_node, fab, person
from tests.audit.witnesses import cosignature_of
from tests.factories import pools
from tests.factories.registry import Hardware
from tests.security.access.scene import Place, opened_again
from webhooks.models import Delivery, Webhook
from webhooks.services import register_webhook, switch_webhook


def cosignature(place: Place) -> dict[str, Any]:
    """What the node hands in as a witness of the newest checkpoint."""
    return cosignature_of(place.node.pk, latest_checkpoint())


def drafted(place: Place) -> Study:
    """The study as a draft."""
    opened_again(place.study, "draft")
    return place.study


def with_dictionary_draft(place: Place) -> Study:
    """The study, with a draft of its next data dictionary."""
    DictionaryDraft.objects.update_or_create(
        study=place.study,
        defaults={
            "variables": VARIABLES[:1],
            "revision": 1,
            "base": newest_number(place.study),
            "changed_by": place.pi,
            "changed_at": timezone.now(),
        },
    )
    return place.study


def identity(place: Place) -> Identity:
    """What lets the investigator in by single sign-on."""
    return link_identity(issuer="https://sign-in.example", subject=str(place.pi.pk), email="", by=place.pi)


def coded(place: Place) -> Study:
    """The study with a join code."""
    make_join_code(obj=place.study, by=place.pi)
    return place.study


def coded_site(place: Place) -> Site:
    """The site with a join code."""
    make_join_code(obj=place.site, by=place.site_admin)
    return place.site


def requested(place: Place) -> AccessRequest:
    """A stranger asks to be auditor of the study."""
    code = make_join_code(obj=place.study, by=place.pi).code
    return ask_for_role(code=code, role=Role.AUDITOR, reason="I audit such studies.", by=place.stranger)


def closed(place: Place) -> User:
    """Somebody whose account is closed."""
    return set_active(user=person("closed@demo.example", "Clo Closed"), is_active=False, by=place.admin)


def unled(place: Place) -> Study:
    """A study whose only investigator left; the place's auditor sees it."""
    leader = person("leader@demo.example", "Lee Leader")
    study = create_study(title="A study that nobody leads", by=leader)
    grant_role(user=place.auditor, role=Role.AUDITOR, obj=study, by=leader)
    set_active(user=leader, is_active=False, by=place.admin)
    return study


def unled_site(place: Place) -> Site:
    """A site whose only admin left; the place's steward is its too."""
    leader = person("leader@demo.example", "Lee Leader")
    site = create_site(name="Saint Nobody", short_name="nobody", by=place.admin)
    grant_role(user=leader, role=Role.ADMIN, obj=site, by=place.admin)
    grant_role(user=place.steward, role=Role.STEWARD, obj=site, by=leader)
    set_active(user=leader, is_active=False, by=place.admin)
    return site


def uninvited() -> str:
    """The id of a site that could be invited."""
    return str(Site.objects.get(short_name="hungary").pk)


def invited(place: Place) -> Enrolment:
    """An enrolment that waits for the site's answer."""
    withdraw_site(enrolment=place.enrolment, by=place.site_admin)
    return invite_site(study=place.study, site=place.site, by=place.pi)


def amended(place: Place) -> ScriptVersion:
    """The place's script in a second version."""
    return submit_version(script=place.script, bundle=fab("1.0.2"), by=place.pi)


def asked(place: Place) -> ReviewThread:
    """A question of the site on the place's version."""
    return open_thread(version=place.version, text="Why?", by=place.site_admin)


def resolved(place: Place) -> ReviewThread:
    """A question that was answered."""
    return resolve_thread(thread=asked(place), by=place.pi)


def told(place: Place) -> Notification:
    """Something that the investigator was told."""
    notify(people=[place.pi], kind="question", subject="Why?", link="/", key="test")
    return Notification.objects.get(person=place.pi, key="test")


def token(place: Place) -> ApiToken:
    """A token of the investigator's."""
    made, _ = make_token(name="Notebook", scopes=[TokenScope.READ], days=1, by=place.pi)
    return made


def factor(place: Place) -> Authenticator:
    """A second factor of the investigator's."""
    # a number that stands nowhere else on a page
    data = {"secret": encrypt(generate_totp_secret())}
    return Authenticator.objects.create(pk=918_273_645, user=place.pi, type=Authenticator.Type.TOTP, data=data)


def invited_person(place: Place) -> Invitation:
    """Somebody new who is invited to the study."""
    return invite_person(email="new@demo.example", role=Role.AUDITOR, obj=place.study, by=place.pi)[0]


def invited_to_site(place: Place) -> Invitation:
    """Somebody new who is invited to the site."""
    return invite_person(email="new@demo.example", role=Role.STEWARD, obj=place.site, by=place.site_admin)[0]


def session(place: Place) -> ApiToken:
    """A session of the investigator's."""
    begun, _ = begin_program_session(user=place.pi)
    return begun


def started(place: Place) -> Run:
    """The place's run, begun."""
    return start_run(run=place.run, by=place.pi)


def paused(place: Place) -> Run:
    """The place's run, paused."""
    return pause_run(run=started(place), by=place.pi)


def scheduled(place: Place) -> Schedule:
    """A schedule that waits for one site."""
    return create_schedule(run=place.run, timing=Timing("ready", sites_needed=1), by=place.pi)


def suspended(place: Place) -> Schedule:
    """A schedule that makes no runs for now."""
    return suspend_schedule(schedule=scheduled(place), by=place.pi)


def ended(place: Place) -> Run:
    """The place's run, stopped, with an answer of its site in the model."""
    _answered(place)
    return stop_run(run=place.run, by=place.pi)


def asked_for(place: Place) -> Release:
    """A request that the model of the place's run may leave; the same one at every call."""
    standing = Release.objects.filter(run=place.run).first()
    if standing is not None:
        return standing
    _answered(place)
    return Release.objects.create(
        run=place.run,
        model=model_of(place.run),
        recipient="A registry",
        purpose="To predict elsewhere",
        card=card_of(place.run).as_json(),
        card_sha256="c" * 64,
        signatures_needed=1,
        requested_by=place.pi,
    )


def released(place: Place) -> Release:
    """A model that may leave."""
    return cosign_release(release=asked_for(place), site=place.site, by=place.steward)


def _answered(place: Place) -> None:
    now = timezone.now()
    Participation.objects.get_or_create(
        round=place.run.round_set.first(),
        participant=place.run.participants.get(enrolment__site=place.site),
        phase="train",
        defaults={"state": "done", "asked_at": now, "answered_at": now},
    )


def expected(place: Place) -> Node:
    """A node that was announced and has not come yet."""
    return expect_node(site=place.site, name="node-2", by=place.site_admin)[0]


def pending(place: Place) -> Node:
    """A node that introduced itself and waits for its site's admin."""
    return enrolled_node(place.site, "node-2", NodeKeys(), place.site_admin)


def revocation(place: Place) -> dict[str, Any]:
    """What the place's node sends to take its approval back."""
    statement = Revocation(
        statement=place.approval.statement_id, node=str(place.node.pk), reason="x", revoked_at="2030-01-01T00:00:00Z"
    )
    return {"envelope": base64.b64encode(sign_revocation(statement, [place.keys.approval])).decode()}


def rotation(place: Place) -> dict[str, Any]:
    """What the place's node sends to replace its keys."""
    new = NodeKeys()
    keys = {name: new.public()[name] for name in ("identity_key", "flower_key")}
    made = Rotation(str(place.node.pk), place.keys.public()["identity_key"], **keys)
    return {**keys, **made.prove(new.identity, new.flower)}


def two_runs(place: Any) -> str:
    """The ids of two runs of the place's study, with a comma between them; the second one is planned where need be."""
    runs = list(Run.objects.filter(study=place.study).order_by("created_at")[:2])
    if len(runs) < 2:
        plan = {"strategy": "fedavg", "rounds": 1, "quorum": 1, "deadline_s": 60, "wait_s": 0}
        runs.append(
            Run.objects.create(study=place.study, version=place.version, label="2nd", created_by=place.pi, **plan)
        )
    return ",".join(str(run.pk) for run in runs)


def compared(place: Place) -> DegreeComparison:
    """A comparison whose runs are planned."""
    return compare_run(run=place.run, by=place.pi)


def webhook(place: Place) -> Webhook:
    """An address that the place's news goes to."""
    return register_webhook(study=place.study, url="https://hook.example.org/in", kinds=["run.completed"], by=place.pi)[
        0
    ]


def webhook_off(place: Place) -> Webhook:
    """Such an address that is switched off."""
    return switch_webhook(webhook=webhook(place), on=False, by=place.pi)


def delivery(place: Place) -> Delivery:
    """A message that did not arrive."""
    return Delivery.objects.create(webhook=webhook(place), kind="webhook.test", body="{}", state="failed")


def with_pool_node(place: Place) -> Study:
    """The study, with a pool node."""
    node = place.node
    name_pool_node(study=place.study, site=place.site, node=node, node_name=node.name, by=place.pi)
    return place.study


def consented(place: Place) -> PoolConsent:
    """The site's consent to pool rows, with what came; the one that is there already."""
    kept = PoolConsent.objects.filter(study=place.study, site=place.site).first()
    return kept or pools.on_file(place.study, place.site, place.node, place.dataset, place.pi)


def pool_of(place: Place) -> pools.Pool:
    """The site pools at its own node, which made it a key; two people may sign there."""
    people = {name: generate() for name, _ in pools.SIGNED_KINDS}
    told = [
        {"kind": "console", "name": name, "role": role, "key": public_text(people[name].public_key())}
        for name, role in pools.SIGNED_KINDS
    ]
    place.node = set_approvers(node=place.node, approvers=told)
    with_pool_node(place)
    hardware = Hardware(place.keys.identity, place.keys.flower, place.keys.approval)
    member = pools.Member(place.study, place.site, place.site_admin, place.node, hardware, place.dataset, people)
    named = place.study.pool_nodes.get()
    return pools.Pool(place.study, place.pi, member, member, named, pools.recipient())


def _packed(envelope: bytes) -> str:
    return base64.b64encode(envelope).decode("ascii")


def keyed(place: Place) -> Study:
    """The site's own node is the pool node, and is about to make a key."""
    place.pool = pool_of(place)  # type: ignore[attr-defined]
    return place.study


def consenting(place: Place) -> Study:
    """There is a key for the site."""
    keyed(place)
    pools.register(place.pool)  # type: ignore[attr-defined]
    return place.study


def agreed(place: Place) -> Study:
    """The site consented."""
    consenting(place)
    place.consent = place.pool.give(**TERMS)  # type: ignore[attr-defined]
    return place.study


TERMS = {
    "columns": ["age", "stenosis"],
    "profile": {"age": {"action": "band", "width": 10}, "stenosis": {"action": "keep"}},
}


def pool_key(place: Any) -> dict[str, Any]:
    """The pool node's key for a site."""
    envelope = _packed(pools.key_statement(place.pool))
    return {
        "study": str(place.study.pk), "site": str(place.site.pk), "recipient": place.pool.recipient,
        "envelope": envelope,
    }  # fmt: skip


def pool_consent(place: Any) -> dict[str, Any]:
    """What two people of the site signed."""
    return {"envelope": _packed(place.pool.consent(**TERMS))}


def pool_manifest(place: Any) -> dict[str, Any]:
    """The description of an object."""
    columns = [["age", "int64"], ["stenosis", "bool"]]
    return {"manifest": _packed(place.pool.manifest(place.consent, pools.sealed(), columns=columns))}


def pool_revocation(place: Any) -> dict[str, Any]:
    """What the site's node signed to take its rows back."""
    return {"envelope": _packed(place.pool.revocation(place.consent))}


def pool_deletion(place: Any) -> dict[str, Any]:
    """What the pool node signed once all was gone."""
    return {"envelope": _packed(place.pool.deletion(place.consent))}

"""What nodes ask of the portal. Bodies are the shared types of `fedstudy_core.wire`."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from pydantic import BaseModel, RootModel, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from audit.proofs import log_key
from fedstudy_core import wire
from fedstudy_core.approvers import Approver
from fedstudy_core.dsse import VerifyingKey
from fedstudy_core.errors import FieldProblem, Forbidden, Invalid
from fedstudy_core.times import format_time
from nodes.registry.keys import signers
from nodes.registry.models import Node
from nodes.registry.pages import set_page_url
from nodes.registry.services import enrol_node, note_heartbeat, rotate_node, set_approvers
from portal.api.base import describe, find
from portal.api.node_auth import IsNode, NodeSignature
from portal.api.scripts import bundle_response
from portal.throttles import EnrolByAddress
from studies.dictionary import selectors as dictionary
from studies.dictionary.models import DictionaryVersion
from studies.dictionary.services import register_dataset
from studies.enrolment import selectors as enrolment
from studies.enrolment.models import Enrolment
from studies.lifecycle.models import Study
from studies.pooling.objects import note_table
from studies.pooling.selectors import news_for
from studies.scripts import selectors as scripts
from studies.scripts.models import Approval, ScriptVersion
from studies.scripts.services import record_approval, record_revocation

Body = TypeVar("Body", bound=BaseModel)


class StudyRefs(RootModel[list[wire.StudyRef]]):
    """The studies of a node's site."""


class ScriptOffers(RootModel[list[wire.ScriptOffer]]):
    """The scripts of these studies."""


class NodeRequest(Request):
    """A signed request of a node (for type checkers)."""

    user: Node  # type: ignore[assignment]
    auth: int


class Introduction(ViewSet):
    """A new node's first words, by its one-time token."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (EnrolByAddress,)

    @describe("Enrol a node", input=wire.EnrolRequest, output=wire.EnrolAnswer)
    def enrol(self, request: Request) -> Response:
        body = read(wire.EnrolRequest, request.data)
        node = enrol_node(
            token=body.token,
            name=body.name,
            keys=body.model_dump(include={"identity_key", "flower_key", "approval_key"}),
            approver=body.approver,
            proof=body.proof,
            agent_version=body.agent_version,
        )
        answer = wire.EnrolAnswer(
            node=str(node.pk),
            site=wire.SiteRef(id=str(node.site_id), name=node.site.name),
            superlink=_superlink(),
            words=node.words,
            log_key=log_key(),
        )
        return Response(answer.model_dump())


class Agent(ViewSet):
    """What an enrolled node asks; all but the heartbeat wait until a person has confirmed it."""

    authentication_classes = (NodeSignature,)
    permission_classes = (IsNode,)

    @describe("Say that the node is alive", input=wire.HeartbeatRequest, output=wire.HeartbeatAnswer)
    def heartbeat(self, request: NodeRequest) -> Response:
        body = read(wire.HeartbeatRequest, request.data)
        node = note_heartbeat(
            node=request.user,
            agent_version=body.agent_version,
            sandbox=body.sandbox,
            status=body.model_dump(include={"datasets", "clock", "paused", "vetoes", "levels"}),
            boot=body.boot,
            sequence=request.auth,
        )
        if body.page_url is not None and body.page_url != node.page_url:
            node = set_page_url(node=node, page_url=body.page_url)
        news = news_for(node.pk)
        answer = wire.HeartbeatAnswer(
            server_time=format_time(timezone.now()),
            node_state=node.state,
            flower_node_id=node.flower_node_id or None,
            pool=None if news is None else wire.PoolNews(changed=news),
        )
        return Response(answer.model_dump())

    @describe("Show what the portal holds of the node itself", output=wire.NodeSelf)
    def itself(self, request: NodeRequest) -> Response:
        return Response(_itself(request.user).model_dump())

    @describe("Replace the node's own keys", input=wire.RotateRequest, output=wire.NodeSelf)
    def rotate(self, request: NodeRequest) -> Response:
        body = read(wire.RotateRequest, request.data)
        node = rotate_node(
            node=request.user,
            keys=body.model_dump(include={"identity_key", "flower_key"}),
            proofs=body.model_dump(include={"identity_proof", "flower_proof"}),
            token=body.token,
        )
        return Response(_itself(node).model_dump())

    @describe("List the studies that the site takes part in", output=StudyRefs)
    def studies(self, request: NodeRequest) -> Response:
        rows = enrolment.taking_part(acting(request).site_id)
        dictionaries = dictionary.current_dictionaries(row.study for row in rows)
        return Response([_study(row, dictionaries.get(row.study_id)).model_dump() for row in rows])

    @describe("Tell of a dataset", input=wire.DatasetRequest, output=wire.Created, status=201)
    def add_dataset(self, request: NodeRequest) -> Response:
        node, body = acting(request), read(wire.DatasetRequest, request.data)
        mine = Study.objects.filter(enrolments__in=enrolment.taking_part(node.site_id))
        study = find(mine, uuid_of(body.study))
        with transaction.atomic():
            dataset = register_dataset(study=study, site=node.site, node_id=node.pk, facts=body, by=node)
            if body.pooled:
                note_table(dataset=dataset, consents=body.pooled, by=node)
        return Response(wire.Created(id=str(dataset.pk)).model_dump(), status=201)

    @describe("List the scripts of these studies", output=ScriptOffers)
    def scripts(self, request: NodeRequest) -> Response:
        node = acting(request)
        versions = scripts.versions_for_site(node.site_id)
        newest = dict(_approvals(node).order_by("recorded_at").values_list("version_id", "pk"))
        levels = dict(enrolment.taking_part(node.site_id).values_list("study", "level"))
        return Response([_offer(row, levels, newest.get(row.pk)).model_dump() for row in versions])

    @describe("Fetch a bundle", output=bytes)
    def bundle(self, request: NodeRequest, id: UUID) -> HttpResponse:
        return bundle_response(find(scripts.versions_for_site(acting(request).site_id), id))

    @describe("Say who may sign at the node", input=wire.ApproversRequest)
    def approvers(self, request: NodeRequest) -> Response:
        node, body = acting(request), read(wire.ApproversRequest, request.data)
        set_approvers(node=node, approvers=body.approvers)
        return Response(status=204)

    @describe("Hand in a signed statement", input=wire.ApprovalRequest, output=wire.ApprovalAnswer, status=201)
    def add_approval(self, request: NodeRequest) -> Response:
        node, body = acting(request), read(wire.ApprovalRequest, request.data)
        approval = record_approval(
            version=find(scripts.versions_for_site(node.site_id), uuid_of(body.version)),
            site=node.site,
            node_id=str(node.pk),
            dataset=find(dictionary.datasets_of_node(node.pk), uuid_of(body.dataset)),
            envelope=unpacked(body.envelope),
            trusted=_signers(node),
            by=node,
        )
        return Response(wire.ApprovalAnswer(id=str(approval.pk), state=approval.state).model_dump(), status=201)

    @describe("Hand in a signed revocation", input=wire.RevocationRequest)
    def revoke_approval(self, request: NodeRequest, id: UUID) -> Response:
        node, body = acting(request), read(wire.RevocationRequest, request.data)
        approval, envelope = find(_approvals(node), id), unpacked(body.envelope)
        record_revocation(approval=approval, envelope=envelope, trusted=revokers(node), by=node)
        return Response(status=204)


def acting(request: NodeRequest) -> Node:
    """The node, once a person has confirmed it. Raises Forbidden E_NODE before."""
    if not request.user.may_act:
        raise Forbidden("E_NODE", request.user.standing)
    return request.user


def read(model: type[Body], data: Any) -> Body:
    """A body as its wire type. Raises Invalid E_INVALID with a problem for each field."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [FieldProblem(".".join(map(str, item["loc"])), "E_INVALID", item["msg"]) for item in error.errors()]
        raise Invalid("E_INVALID", errors=problems) from error


def _signers(node: Node) -> dict[str, Approver]:
    """Who may sign an approval at the node: its approvers, and the node itself under a standing policy."""
    return signers(node.identity_key, node.approvers)


def revokers(node: Node) -> dict[str, VerifyingKey]:
    """The keys by which the site revokes: the approvers', and the node's own, for stopping needs no passphrase."""
    return {name: approver.key for name, approver in _signers(node).items()}


def _itself(node: Node) -> wire.NodeSelf:
    return wire.NodeSelf(node=str(node.pk), node_state=node.state, identity_key=node.identity_key, words=node.words)


def _approvals(node: Node) -> QuerySet[Approval]:
    return Approval.objects.filter(node_id=str(node.pk))


def uuid_of(text: str) -> UUID:
    """An id in a body. Raises Invalid E_INVALID."""
    try:
        return UUID(text)
    except ValueError as error:
        raise Invalid("E_INVALID", "An id in the request is not a UUID.") from error


def unpacked(text: str) -> bytes:
    """An envelope in a body, which travels in base64. Raises Invalid E_INVALID."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid("E_INVALID", "The envelope is not base64.") from error


def _superlink() -> wire.SuperLinkRef:
    authority = settings.FEDSTUDY_SUPERLINK_CA
    return wire.SuperLinkRef(
        address=settings.FEDSTUDY_SUPERLINK_ADDRESS,
        ca_pem="" if authority is None else authority.read_text("ascii"),
    )


def _study(row: Enrolment, newest: DictionaryVersion | None) -> wire.StudyRef:
    return wire.StudyRef(
        id=str(row.study_id),
        title=row.study.title,
        enrolment=str(row.pk),
        level=row.level,
        state=row.study.state,
        dictionary=None
        if newest is None
        else wire.DictionaryRef(
            id=str(newest.pk), version=newest.number, sha256=newest.sha256, variables=newest.variables
        ),
    )


def _offer(version: ScriptVersion, levels: Mapping[UUID, Any], approval: UUID | None) -> wire.ScriptOffer:
    return wire.ScriptOffer(
        version=str(version.pk),
        study=str(version.script.study_id),
        study_title=version.script.study.title,
        level=levels[version.script.study_id],
        script=version.script.name,
        number=version.number,
        sha256=version.sha256,
        size=version.size,
        submitted_at=format_time(version.submitted_at),
        parameters=version.parameters,
        declaration=version.declaration,
        approval=None if approval is None else str(approval),
    )

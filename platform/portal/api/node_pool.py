"""What nodes say and ask about pooled rows: sites consent and hand objects in, the pool node takes and deletes them.

The bytes of objects go through `portal.pool_door`.
"""

import base64
from uuid import UUID

from pydantic import RootModel
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts.models import Site
from fedstudy_core import wire_pool as wire
from fedstudy_core.dsse import VerifyingKey
from fedstudy_core.errors import NotFound
from fedstudy_core.keys import key_id, public_from_text
from nodes.registry.keys import signers
from nodes.registry.models import Node
from portal.api.base import describe, find
from portal.api.node import NodeRequest, acting, read, revokers, unpacked, uuid_of
from portal.api.node_auth import IsNode, NodeSignature
from portal.pool_door import upload_path
from studies.dictionary.selectors import current_dictionary
from studies.enrolment import selectors as enrolment
from studies.lifecycle.models import Study
from studies.pooling import consents, objects, selectors, services
from studies.pooling.models import PoolConsent, PooledObject


class KeysWanted(RootModel[list[wire.PoolKeyWanted]]):
    """The sites for which a pool node is to make a key."""


class PooledObjects(RootModel[list[wire.PooledObject]]):
    """What a pool node is to open, to drop or to delete."""


class Pool(ViewSet):
    """Pooled rows, for the nodes of sites that pool them and for the pool node."""

    authentication_classes = (NodeSignature,)
    permission_classes = (IsNode,)

    @describe("List the sites for which the pool node is to make a key", output=KeysWanted)
    def keys_wanted(self, request: NodeRequest) -> Response:
        rows = selectors.keys_wanted(acting(request).pk)
        told = [
            wire.PoolKeyWanted(study=str(row.study_id), site=str(row.site_id), site_name=row.site.name) for row in rows
        ]
        return Response([row.model_dump() for row in told])

    @describe("Register the pool node's key for a site", input=wire.PoolKeyRequest, status=201)
    def add_key(self, request: NodeRequest) -> Response:
        node, body = acting(request), read(wire.PoolKeyRequest, request.data)
        pool = selectors.pools_of_node(node.pk).filter(state="named", study=uuid_of(body.study)).first()
        if pool is None:
            raise NotFound("E_NO_POOL")
        services.register_key(
            pool=pool,
            site=find(Site.objects.all(), uuid_of(body.site)),
            recipient=body.recipient,
            envelope=unpacked(body.envelope),
            trusted=_itself(node),
            by=node,
        )
        return Response(status=201)

    @describe("Show where the site's pooled rows of a study would go", output=wire.PoolOffer)
    def offer(self, request: NodeRequest, id: UUID) -> Response:
        node = acting(request)
        study = find(Study.objects.filter(enrolments__in=enrolment.taking_part(node.site_id)), id)
        pool = selectors.pool_node_of(study)
        if pool is None:
            raise NotFound("E_NO_POOL")
        key, dictionary = selectors.active_key(pool, node.site_id), current_dictionary(study)
        answer = wire.PoolOffer(
            node=pool.node_id,
            node_key=Node.objects.get(pk=pool.node_id).identity_key,
            site=str(pool.site_id),
            site_name=pool.site.name,
            recipient=key.recipient if key else "",
            envelope=_packed(key.envelope) if key else "",
            columns=dictionary.variables if dictionary else [],
        )
        return Response(answer.model_dump())

    @describe("Hand in a site's consent", input=wire.PoolEnvelope, output=wire.PoolConsentAnswer, status=201)
    def add_consent(self, request: NodeRequest) -> Response:
        node, body = acting(request), read(wire.PoolEnvelope, request.data)
        trusted = signers(node.identity_key, node.approvers)
        consent = consents.record_consent(site=node.site, envelope=unpacked(body.envelope), trusted=trusted, by=node)
        return Response(wire.PoolConsentAnswer(consent=consent.sha256).model_dump(), status=201)

    @describe("Hand in the revocation of a consent", input=wire.PoolEnvelope)
    def revoke(self, request: NodeRequest) -> Response:
        node, body = acting(request), read(wire.PoolEnvelope, request.data)
        consents.record_revocation(envelope=unpacked(body.envelope), trusted=revokers(node), by=node)
        return Response(status=204)

    @describe("Announce an object", input=wire.PooledObjectRequest, output=wire.PooledObjectAnswer, status=201)
    def announce(self, request: NodeRequest) -> Response:
        node, body = acting(request), read(wire.PooledObjectRequest, request.data)
        item = objects.announce_object(manifest=unpacked(body.manifest), trusted=_itself(node), by=node)
        answer = wire.PooledObjectAnswer(object=str(item.pk), upload=upload_path(item))
        return Response(answer.model_dump(), status=201)

    @describe("List the pooled objects that the pool node is to open, drop or delete", output=PooledObjects)
    def list(self, request: NodeRequest) -> Response:
        node = acting(request)
        rows = list(selectors.objects_for_pool(node.pk))
        nodes = Node.objects.in_bulk({UUID(row.consent.node_id) for row in rows})
        awaited = selectors.keys_with_rows_to_come(node.pk)
        told = [_told(row, nodes[UUID(row.consent.node_id)], row.consent.key_id in awaited) for row in rows]
        return Response([row.model_dump() for row in told])

    @describe("Hand in that a site's pooled rows are deleted", input=wire.PoolEnvelope)
    def deleted(self, request: NodeRequest) -> Response:
        node, body = acting(request), read(wire.PoolEnvelope, request.data)
        consents.record_deletion(envelope=unpacked(body.envelope), trusted=_itself(node), by=node)
        return Response(status=204)


def _told(item: PooledObject, node: Node, key_is_awaited: bool) -> wire.PooledObject:
    """What the pool node hears of an object.

    Of a deletion it hears once the rows of a newer consent have come that are sealed with the same key: it keeps a key
    for rows that it has, and does not know of those that are still to come.
    """
    consent: PoolConsent = item.consent
    waits = key_is_awaited and consent.delete_asked_at is not None
    return wire.PooledObject(
        object=str(item.pk),
        study=str(consent.study_id),
        site=str(consent.site_id),
        site_name=consent.site.name,
        state="complete" if item.state == "complete" and consent.is_valid else "revoked",
        sha256=item.sha256,
        size=item.size,
        manifest=_packed(item.manifest),
        consent=_packed(consent.envelope),
        revocation="" if waits else _packed(consent.revocation or b""),
        delete=consent.delete_asked_at is not None and not waits,
        node_key=node.identity_key,
        approvers=node.approvers,
    )


def _itself(node: Node) -> dict[str, VerifyingKey]:
    """The node's own key, by its id."""
    key = public_from_text(node.identity_key)
    return {key_id(key): key}


def _packed(envelope: bytes | memoryview) -> str:
    return base64.b64encode(bytes(envelope)).decode("ascii")

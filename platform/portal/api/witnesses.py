"""The log and its witnesses: what nodes ask of it and hand in, and how people see them."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from audit import proofs, stored_tree
from fedstudy_core import wire
from nodes.registry.models import Node
from nodes.registry.witnesses import note_refusal, quorum, standings, take_cosignature
from portal.api.base import Input, Output, PersonRequest, Resource, checked, describe
from portal.api.names import NameOut
from portal.api.node import NodeRequest, acting, read
from portal.api.node_auth import IsNode, NodeSignature
from studies.enrolment.selectors import sites_seen_by


class RefusedOut(Output):
    """What a witness did not cosign, since its last cosignature."""

    code = serializers.CharField()
    at = serializers.DateTimeField()
    seen = serializers.CharField(help_text="The checkpoint that it had seen before")
    offered = serializers.CharField(help_text="The checkpoint that it refused")


class WitnessOut(Output):
    """A node as a witness of the log."""

    node = NameOut()
    site = NameOut(source="node.site")
    key = serializers.CharField(source="last.key", default="", help_text="By which its cosignatures are verified")
    size = serializers.IntegerField(source="last.size", default=0, help_text="The largest that it cosigned")
    cosigned_at = serializers.DateTimeField(
        source="last.made_at", default=None, allow_null=True, help_text="By its own clock"
    )
    lag = serializers.IntegerField(help_text="Events that it has not cosigned")
    refused = RefusedOut(source="refusal", allow_null=True)


class WitnessesOut(Output):
    """How far the log is witnessed, and by whom among the sites that the user sees."""

    key = serializers.CharField(help_text="The log's own, name+id+key")
    size = serializers.IntegerField(help_text="Events in the log at its newest checkpoint")
    witnessed = serializers.IntegerField(help_text="Up to which event as many sites as needed have cosigned")
    sites = serializers.IntegerField(help_text="That have an active node")
    needed = serializers.IntegerField(help_text="Two thirds of the sites, and two at least")
    succession = serializers.CharField(help_text="Signed note, if the log goes on from one of another name")
    witnesses = WitnessOut(many=True)


class Witnesses(Resource):
    """The state of the log's witnesses. Everybody reads it, each of the sites that they see."""

    @describe("Show how far the log is witnessed", output=WitnessesOut)
    def retrieve(self, request: PersonRequest) -> Response:
        nodes = Node.objects.filter(state="active", site__in=sites_seen_by(request.user))
        found = quorum()
        shown = {
            "key": proofs.log_key(),
            "size": proofs.size_signed(),
            "witnessed": found.size,
            "sites": found.sites,
            "needed": found.needed,
            "succession": proofs.succession(),
            "witnesses": standings(nodes.select_related("site").order_by("site__name", "name")),
        }
        return self.answer(shown, WitnessesOut)


class SeenQuery(Input):
    """How many events the log had when the node saw it last."""

    seen = serializers.IntegerField(min_value=0, max_value=2**53, default=0)


class WitnessedLog(ViewSet):
    """The log as a node witnesses it, once a person has confirmed the node."""

    authentication_classes = (NodeSignature,)
    permission_classes = (IsNode,)

    @describe("Show a witness the newest checkpoint", output=wire.LogAnswer, parameters=[SeenQuery])
    def retrieve(self, request: NodeRequest) -> Response:
        acting(request)
        seen = checked(SeenQuery, request.query_params.dict())["seen"]
        newest = proofs.latest_checkpoint()
        hashes = stored_tree.consistency_proof(seen, newest.size) if 1 <= seen <= newest.size else []
        answer = wire.LogAnswer(
            key=proofs.log_key(),
            checkpoint=newest.note,
            consistency=proofs.encoded(hashes),
            succession=proofs.succession(),
        )
        return Response(answer.model_dump())

    @describe("Hand in a cosignature", input=wire.CosignatureRequest)
    def cosign(self, request: NodeRequest) -> Response:
        node, body = acting(request), read(wire.CosignatureRequest, request.data)
        take_cosignature(node=node, key=body.key, size=body.size, line=body.cosignature)
        return Response(status=204)

    @describe("Tell of a checkpoint that was refused", input=wire.LogRefusalRequest)
    def refuse(self, request: NodeRequest) -> Response:
        node, body = acting(request), read(wire.LogRefusalRequest, request.data)
        note_refusal(node=node, code=body.code, seen=body.seen, offered=body.offered)
        return Response(status=204)

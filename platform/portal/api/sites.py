"""Sites and their nodes, as people see them."""

from typing import Any
from uuid import UUID

from django.conf import settings
from rest_framework import serializers
from rest_framework.response import Response

from accounts import selectors as accounts
from accounts.services import create_site
from nodes.registry import selectors as registry
from nodes.registry.services import confirm_node, expect_node, renew_token, revoke_node
from nodes.registry.states import NODE
from nodes.registry.versions import STANDINGS, narrowed_nodes
from portal.api.base import Input, Output, PersonRequest, Resource, describe
from portal.api.names import NameOut


class SiteOut(Output):
    """A hospital or clinic."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    short_name = serializers.SlugField()
    city = serializers.CharField()
    country = serializers.CharField()
    created_at = serializers.DateTimeField()


class NewSite(Input):
    """A site to be."""

    name = serializers.CharField(max_length=160)
    short_name = serializers.SlugField(max_length=40)
    city = serializers.CharField(max_length=80, allow_blank=True, default="")
    country = serializers.CharField(max_length=80, allow_blank=True, default="")


class NodeOut(Output):
    """A node. `words` are to be compared with those that the node itself shows before it is confirmed.

    `standing` says why it may not act; `paused` since when and why its site's people paused it; `clock_off_s` by how
    many seconds its clock is ahead.
    """

    id = serializers.UUIDField()
    site = NameOut()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=NODE.states)
    online = serializers.BooleanField()
    words = serializers.CharField()
    standing = serializers.CharField()
    paused = serializers.DictField(child=serializers.CharField(), allow_null=True)
    clock_off_s = serializers.IntegerField(allow_null=True)
    agent_version = serializers.CharField()
    sandbox = serializers.CharField()
    last_seen_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    enrolled_at = serializers.DateTimeField(allow_null=True)
    confirmed_at = serializers.DateTimeField(allow_null=True)
    rotated_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class NodeQuery(Input):
    """Which nodes."""

    state = serializers.ChoiceField(choices=NODE.states, required=False)
    version = serializers.ChoiceField(choices=STANDINGS, required=False, help_text="How it stands to the portal's")


class ExpectedNodeOut(NodeOut):
    """A node that is expected, with its one-time token, shown this once."""

    token = serializers.CharField()


class NewNode(Input):
    """A node that is to be installed."""

    name = serializers.CharField(max_length=80, help_text="Letters, digits, dots, dashes and underscores; at most 63")


class Words(Input):
    """The six words that the node showed when it enrolled."""

    words = serializers.CharField(max_length=120)


class Explanation(Input):
    """Why, in one's own words."""

    reason = serializers.CharField(max_length=300, allow_blank=True, default="")


class Sites(Resource):
    """Sites that the user may see."""

    selector = staticmethod(accounts.visible_sites)
    output = SiteOut
    ordering = ("name", "id")

    @describe("List the sites", output=SiteOut, many=True)
    def list(self, request: PersonRequest) -> Response:
        return self.page(self.rows())

    @describe("Make a site", input=NewSite, output=SiteOut, status=201)
    def create(self, request: PersonRequest) -> Response:
        return self.answer(create_site(**self.read(NewSite), by=request.user), status=201)

    @describe("Show a site", output=SiteOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(self.row(id))


class SiteNodes(Resource):
    """The nodes of one site."""

    selector = staticmethod(accounts.visible_sites)
    output = NodeOut

    @describe("List the site's nodes", output=NodeOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        site = self.row(id)
        return self.page(registry.visible_to(request.user).filter(site=site).select_related("site"))

    @describe("Expect a node; answers its one-time token", input=NewNode, output=ExpectedNodeOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        node, token = expect_node(site=self.row(id), **self.read(NewNode), by=request.user)
        body: dict[str, Any] = {**NodeOut(node).data, "token": token}
        return Response(body, status=201)


class Nodes(Resource):
    """Nodes that the user may see."""

    selector = staticmethod(registry.visible_to)
    output = NodeOut

    def rows(self) -> Any:
        return super().rows().select_related("site")

    @describe("List the nodes", output=NodeOut, many=True, parameters=[NodeQuery])
    def list(self, request: PersonRequest) -> Response:
        return self.page(narrowed_nodes(self.rows(), settings.FEDSTUDY_VERSION, **self.query(NodeQuery)))

    @describe("Show a node", output=NodeOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(self.row(id))

    @describe("Make a new one-time token for a node that is expected or frozen", output=ExpectedNodeOut)
    def renew(self, request: PersonRequest, id: UUID) -> Response:
        node = self.row(id)
        body: dict[str, Any] = {**NodeOut(node).data, "token": renew_token(node=node, by=request.user)}
        return Response(body)

    @describe("Confirm a node by its six words", input=Words, output=NodeOut)
    def confirm(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(confirm_node(node=self.row(id), **self.read(Words), by=request.user))

    @describe("Trust a node no more", input=Explanation, output=NodeOut)
    def revoke(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(revoke_node(node=self.row(id), **self.read(Explanation), by=request.user))

"""Asking for a role by a join code, and deciding on it."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from accounts import selectors as accounts
from accounts.asking import (
    accept_request,
    ask_for_role,
    end_join_code,
    join_code_of,
    make_join_code,
    refuse_request,
    requests_seen_by,
    withdraw_request,
)
from accounts.models import AccessRequest, Site
from accounts.permissions import Permission, check
from accounts.roles import Role
from accounts.states import REQUEST
from fedstudy_core.errors import NotFound
from portal.api.base import Input, Output, PersonRequest, Resource, describe
from portal.api.choices import ROLE_NAMES
from portal.api.people import PersonOut
from portal.throttles import JoinCodeByPerson
from studies.lifecycle import selectors as lifecycle


class AccessRequestOut(Output):
    """A request for a role; `name` is the study's or site's."""

    id = serializers.UUIDField()
    person = PersonOut()
    role = serializers.ChoiceField(choices=ROLE_NAMES)
    kind = serializers.SerializerMethodField()
    object = serializers.UUIDField(source="object_id")
    name = serializers.CharField(source="content_object")
    reason = serializers.CharField()
    state = serializers.ChoiceField(choices=REQUEST.states)
    asked_at = serializers.DateTimeField()
    answer = serializers.CharField()
    decided_by = PersonOut(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.ChoiceField(choices=["study", "site"]))
    def get_kind(self, request: AccessRequest) -> str:
        return "site" if isinstance(request.content_object, Site) else "study"


class NewAccessRequest(Input):
    """Which role, and why; the code says where."""

    code = serializers.CharField(max_length=40)
    role = serializers.ChoiceField(choices=ROLE_NAMES)
    reason = serializers.CharField(max_length=500)


class AccessQuery(Input):
    """Which requests."""

    state = serializers.ChoiceField(choices=REQUEST.states, required=False)


class Acceptance(Input):
    """What to say with it."""

    answer = serializers.CharField(max_length=500, allow_blank=True, default="")


class Rejection(Input):
    """Why not."""

    answer = serializers.CharField(max_length=500)


class JoinCodeOut(Output):
    """The code by which people ask for a role; it opens nothing by itself."""

    code = serializers.CharField()
    created_at = serializers.DateTimeField()


class AccessRequests(Resource):
    """What the user asked for, and what is asked of them."""

    selector = staticmethod(requests_seen_by)
    output = AccessRequestOut
    ordering = ("-asked_at", "id")

    def get_throttles(self) -> list[Any]:
        return [JoinCodeByPerson()] if self.action == "create" else []

    @describe("List requests for roles", output=AccessRequestOut, many=True, parameters=[AccessQuery])
    def list(self, request: PersonRequest) -> Response:
        return self.page(self.rows().filter(**self.query(AccessQuery)))

    @describe("Ask for a role", input=NewAccessRequest, output=AccessRequestOut, status=201)
    def create(self, request: PersonRequest) -> Response:
        given = self.read(NewAccessRequest)
        role = Role(given.pop("role"))
        return self.answer(ask_for_role(**given, role=role, by=request.user), status=201)

    @describe("Show a request", output=AccessRequestOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(self.row(id))

    @describe("Give the role that was asked for", input=Acceptance, output=AccessRequestOut)
    def accept(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(accept_request(request=self.row(id), **self.read(Acceptance), by=request.user))

    @describe("Refuse a request", input=Rejection, output=AccessRequestOut)
    def refuse(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(refuse_request(request=self.row(id), **self.read(Rejection), by=request.user))

    @describe("Take one's own request back", output=AccessRequestOut)
    def withdraw(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(withdraw_request(request=self.row(id), by=request.user))


class JoinCodes(Resource):
    """The join code of one object, for those who give roles there."""

    output = JoinCodeOut
    permission: ClassVar[Permission]

    def _object(self, request: PersonRequest, id: UUID) -> Any:
        obj = self.row(id)
        check(request.user, self.permission, obj)
        return obj

    @describe("Show the join code", output=JoinCodeOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        found = join_code_of(self._object(request, id))
        if found is None:
            raise NotFound("E_NOT_FOUND", "There is no join code.")
        return self.answer(found)

    @describe("Make a join code; the one before ends", output=JoinCodeOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(make_join_code(obj=self._object(request, id), by=request.user), status=201)

    @describe("End the join code")
    def remove(self, request: PersonRequest, id: UUID) -> Response:
        end_join_code(obj=self._object(request, id), by=request.user)
        return self.done()


class StudyJoinCodes(JoinCodes):
    """The join code of a study."""

    selector = staticmethod(lifecycle.visible_to)
    permission = Permission.STUDY_GRANT


class SiteJoinCodes(JoinCodes):
    """The join code of a site."""

    selector = staticmethod(accounts.visible_sites)
    permission = Permission.SITE_PEOPLE

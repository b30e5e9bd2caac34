"""Inviting people who have no account yet."""

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import selectors as accounts
from accounts.invitations import invite_person, open_invitations, revoke_invitation, take_up_invitation
from accounts.permissions import Permission, check
from accounts.roles import SITE_ROLES, STUDY_ROLES, Role
from portal.api.base import Input, Output, PersonRequest, Resource, checked, describe, find
from portal.api.people import AccountOut
from portal.throttles import SetUpByAddress
from studies.lifecycle import selectors as lifecycle


class InvitationOut(Output):
    """An invitation that waits to be taken up."""

    id = serializers.UUIDField()
    email = serializers.EmailField()
    role = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class MadeInvitationOut(InvitationOut):
    """A new invitation with `token`, which its link holds; it is shown this once."""

    token = serializers.CharField()


class StudyInvitation(Input):
    """Who is invited to which role in the study."""

    email = serializers.EmailField(max_length=254)
    role = serializers.ChoiceField(choices=[role.value for role in STUDY_ROLES])


class SiteInvitation(Input):
    """Who is invited to which role at the site."""

    email = serializers.EmailField(max_length=254)
    role = serializers.ChoiceField(choices=[role.value for role in SITE_ROLES])


class TakeUp(Input):
    """The account of an invited person."""

    token = serializers.CharField(max_length=200)
    name = serializers.CharField(max_length=120)
    password = serializers.CharField(max_length=128, trim_whitespace=False)


class Invitations(Resource):
    """Invitations to one object, for those who give roles there."""

    output = InvitationOut
    invitation: ClassVar[type[Input]]
    permission: ClassVar[Permission]

    @describe("List open invitations of people", output=InvitationOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        obj = self.row(id)
        check(request.user, self.permission, obj)
        return self.page(open_invitations(obj))

    @describe("Take an invitation back")
    def remove(self, request: PersonRequest, id: UUID, invitation: UUID) -> Response:
        obj = self.row(id)
        check(request.user, self.permission, obj)
        revoke_invitation(invitation=find(open_invitations(obj), invitation), by=request.user)
        return self.done()

    def _invite(self, request: PersonRequest, id: UUID) -> Response:
        obj, given = self.row(id), self.read(self.invitation)
        made, token = invite_person(email=given["email"], role=Role(given["role"]), obj=obj, by=request.user)
        return Response({**InvitationOut(made).data, "token": token}, status=201)


class StudyInvitations(Invitations):
    """People invited to a study."""

    selector = staticmethod(lifecycle.staffed_by)
    invitation = StudyInvitation
    permission = Permission.STUDY_GRANT

    @describe("Invite somebody new to the study", input=StudyInvitation, output=MadeInvitationOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        return self._invite(request, id)


class SiteInvitations(Invitations):
    """People invited to a site."""

    selector = staticmethod(accounts.visible_sites)
    invitation = SiteInvitation
    permission = Permission.SITE_PEOPLE

    @describe("Invite somebody new to the site", input=SiteInvitation, output=MadeInvitationOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        return self._invite(request, id)


class TakeUpView(APIView):
    """Opens the account of somebody who was invited."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = [SetUpByAddress]

    @extend_schema(summary="Take an invitation up", request=TakeUp, responses={201: AccountOut})
    def post(self, request: Request) -> Response:
        return Response(AccountOut(take_up_invitation(**checked(TakeUp, request.data))).data, status=201)

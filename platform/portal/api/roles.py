"""People in their roles, in a study or at a site."""

from typing import ClassVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response

from accounts import selectors as accounts
from accounts.roles import SITE_ROLES, STUDY_ROLES, Role
from accounts.services import grant_role, revoke_role
from portal.api.base import Input, Output, PersonRequest, Resource, describe
from portal.api.people import PersonOut
from studies.lifecycle import selectors as lifecycle


class HolderOut(Output):
    """A person and the role they hold."""

    user = PersonOut()
    role = serializers.CharField()


class StudyHolder(Input):
    """Who is to hold which role in the study; `user` is an id or an e-mail address."""

    user = serializers.CharField(max_length=254)
    role = serializers.ChoiceField(choices=[role.value for role in STUDY_ROLES])


class SiteHolder(Input):
    """Who is to hold which role at the site; `user` is an id or an e-mail address."""

    user = serializers.CharField(max_length=254)
    role = serializers.ChoiceField(choices=[role.value for role in SITE_ROLES])


class People(Resource):
    """Who holds which role in one object."""

    output = HolderOut
    holder: ClassVar[type[Input]]

    @describe("List people and their roles", output=HolderOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        holders = accounts.role_holders(self.row(id))
        return Response({"results": HolderOut(holders, many=True).data, "next": None})

    def _grant(self, request: PersonRequest, id: UUID) -> Response:
        obj, given = self.row(id), self.read(self.holder)
        user = accounts.person_named(given["user"])
        grant_role(user=user, role=Role(given["role"]), obj=obj, by=request.user)
        return self.answer({"user": user, "role": given["role"]}, status=201)

    @describe("Take a role back")
    def remove(self, request: PersonRequest, id: UUID, user: UUID, role: str) -> Response:
        holder = accounts.person_named(str(user))
        revoke_role(user=holder, role=Role(role), obj=self.row(id), by=request.user)
        return self.done()


class StudyPeople(People):
    """Who holds which role in a study."""

    selector = staticmethod(lifecycle.visible_to)
    holder = StudyHolder

    @describe("Give a role in the study", input=StudyHolder, output=HolderOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        return self._grant(request, id)


class SitePeople(People):
    """Who holds which role at a site."""

    selector = staticmethod(accounts.visible_sites)
    holder = SiteHolder

    @describe("Give a role at the site", input=SiteHolder, output=HolderOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        return self._grant(request, id)

"""People in their roles, in a study or at a site."""

from typing import ClassVar
from uuid import UUID

from django.db.models import Model
from rest_framework import serializers
from rest_framework.response import Response

from accounts import selectors as accounts
from accounts.models import User
from accounts.permissions import Permission, can, check
from accounts.roles import SITE_ROLES, STUDY_ROLES, Role
from accounts.services import grant_role, revoke_role
from fedstudy_core.errors import NotFound
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
    permission: ClassVar[Permission]

    @describe("List people and their roles", output=HolderOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        holders = accounts.role_holders(self.row(id))
        return Response({"results": HolderOut(holders, many=True).data, "next": None})

    @describe("Take a role back")
    def remove(self, request: PersonRequest, id: UUID, user: UUID, role: str) -> Response:
        obj = self.row(id)
        holder = self._person(request, obj, str(user))
        if role not in set(Role):
            raise NotFound("E_NOT_FOUND")
        revoke_role(user=holder, role=Role(role), obj=obj, by=request.user)
        return self.done()

    def _grant(self, request: PersonRequest, id: UUID) -> Response:
        obj, given = self.row(id), self.read(self.holder)
        user = self._person(request, obj, given["user"])
        grant_role(user=user, role=Role(given["role"]), obj=obj, by=request.user)
        return self.answer({"user": user, "role": given["role"]}, status=201)

    def _person(self, request: PersonRequest, obj: Model, text: str) -> User:
        """The person who is meant; only who may give roles here, or knows all accounts, learns who has one."""
        if not can(request.user, Permission.USERS_MANAGE):
            check(request.user, self.permission, obj)
        return accounts.person_named(text)


class StudyPeople(People):
    """Who holds which role in a study."""

    selector = staticmethod(lifecycle.staffed_by)
    holder = StudyHolder
    permission = Permission.STUDY_GRANT

    @describe("Give a role in the study", input=StudyHolder, output=HolderOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        return self._grant(request, id)


class SitePeople(People):
    """Who holds which role at a site."""

    selector = staticmethod(accounts.visible_sites)
    holder = SiteHolder
    permission = Permission.SITE_PEOPLE

    @describe("Give a role at the site", input=SiteHolder, output=HolderOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        return self._grant(request, id)

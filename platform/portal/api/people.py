"""The first administrator, signing in, and the accounts of people."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import selectors
from accounts.directory import account_of, narrowed_accounts
from accounts.factors import reset_factors
from accounts.models import ApiToken
from accounts.moving import move_person
from accounts.permissions import Permission, check
from accounts.services import create_first_admin, create_user, set_active
from accounts.tokens import give_back
from portal.api.base import Input, Output, PersonRequest, Resource, checked, describe, find
from portal.api.tokens import sign_in
from portal.throttles import SetUpByAddress, SignInByAccount, SignInByAddress
from portal.waiting import waiting_for


class PersonOut(Output):
    """A person, as others see them."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    email = serializers.EmailField()


class AccountOut(PersonOut):
    """A person's account."""

    is_active = serializers.BooleanField()
    is_platform_admin = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class RoleHeldOut(Output):
    """A role that somebody holds in one study or at one site."""

    role = serializers.CharField()
    kind = serializers.ChoiceField(choices=["study", "site"])
    id = serializers.UUIDField()
    name = serializers.CharField()


class AccountDetailOut(AccountOut):
    """An account with the person's roles, and how much lets them in."""

    roles = RoleHeldOut(many=True)
    factors = serializers.IntegerField(help_text="Second factors")
    tokens = serializers.IntegerField()
    sessions = serializers.IntegerField()
    seen_at = serializers.DateTimeField(allow_null=True, help_text="When a session was last used")


class AccountQuery(Input):
    """Which accounts."""

    q = serializers.CharField(max_length=200, required=False, help_text="Words of names and e-mail addresses")
    is_active = serializers.BooleanField(required=False, default=None, allow_null=True)


class WaitingOut(Output):
    """What waits in one of a person's roles, before their account is closed or they move."""

    held = RoleHeldOut()
    others = serializers.IntegerField(help_text="Other people in the same role who can sign in")
    leads_alone = serializers.BooleanField()
    invitations = serializers.IntegerField(help_text="Of the site, without an answer")
    signatures = serializers.IntegerField(help_text="Newest versions of scripts that the site has not decided on")
    keys = serializers.ListField(
        child=serializers.CharField(), help_text="Nodes that take the signature of somebody of this name"
    )


class Move(Input):
    """From which site a person goes to which, by their ids."""

    origin = serializers.UUIDField()
    to = serializers.UUIDField()


class SetUp(Input):
    """The first administrator, by the one-time token of `manage.py create_setup_token`."""

    token = serializers.CharField(max_length=200)
    email = serializers.EmailField(max_length=254)
    name = serializers.CharField(max_length=120)
    password = serializers.CharField(max_length=128, trim_whitespace=False)


class SignIn(Input):
    """Who wants to sign a program in."""

    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=128, trim_whitespace=False)
    code = serializers.CharField(max_length=40, default="", help_text="Of the second factor, or a recovery code")


class TokenOut(Output):
    """The key of a session, for `Authorization: Token ...`; it is shown this once."""

    token = serializers.CharField()
    expiry = serializers.DateTimeField()


class NewAccount(Input):
    """A person who is to have an account."""

    email = serializers.EmailField(max_length=254)
    name = serializers.CharField(max_length=120)
    password = serializers.CharField(max_length=128, trim_whitespace=False)
    is_platform_admin = serializers.BooleanField(default=False)


class AccountChange(Input):
    """What a platform administrator may change of an account."""

    is_active = serializers.BooleanField()


class SetUpView(APIView):
    """Makes the first administrator of a new portal."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = [SetUpByAddress]

    @extend_schema(summary="Make the first administrator", request=SetUp, responses={201: AccountOut})
    def post(self, request: Request) -> Response:
        admin = create_first_admin(**checked(SetUp, request.data))
        return Response(AccountOut(admin).data, status=201)


class TokenView(APIView):
    """Signs programs in as people, and takes keys and tokens back."""

    throttle_classes = [SignInByAddress, SignInByAccount]

    @property
    def _signs_in(self) -> bool:
        """Signing in asks for no token: an expired one that is sent along does not matter."""
        return getattr(self.request, "method", None) == "POST"

    def get_authenticators(self) -> list[Any]:
        return [] if self._signs_in else super().get_authenticators()

    def get_permissions(self) -> Sequence[Any]:
        return [AllowAny()] if self._signs_in else super().get_permissions()

    def get_throttles(self) -> list[Any]:
        return super().get_throttles() if self._signs_in else []

    @extend_schema(summary="Sign in", request=SignIn, responses={200: TokenOut})
    def post(self, request: Request) -> Response:
        token, expiry = sign_in(request, **checked(SignIn, request.data))
        return Response(TokenOut({"token": token, "expiry": expiry}).data)

    @extend_schema(summary="Give the token back", request=None, responses={204: None})
    def delete(self, request: PersonRequest) -> Response:
        if isinstance(request.auth, ApiToken):
            give_back(request.auth, by=request.user)
        return Response(status=204)


class Accounts(Resource):
    """Accounts, for platform administrators."""

    selector = staticmethod(selectors.visible_accounts)
    output = AccountOut
    ordering = ("name", "id")

    @describe("List the accounts", output=AccountOut, many=True, parameters=[AccountQuery])
    def list(self, request: PersonRequest) -> Response:
        check(request.user, Permission.USERS_MANAGE)
        return self.page(narrowed_accounts(self.rows(), **self.query(AccountQuery)))

    @describe("Make an account", input=NewAccount, output=AccountOut, status=201)
    def create(self, request: PersonRequest) -> Response:
        return self.answer(create_user(**self.read(NewAccount), by=request.user), status=201)

    @describe("Show an account", output=AccountDetailOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        found = account_of(self.row(id))
        return self.answer({**AccountOut(found.user).data, **vars(found)}, AccountDetailOut)

    @describe("Close or reopen an account", input=AccountChange, output=AccountOut)
    def change(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(set_active(user=self.row(id), **self.read(AccountChange), by=request.user))

    @describe("Show what waits for a person", output=WaitingOut, many=True)
    def waiting(self, request: PersonRequest, id: UUID) -> Response:
        found = waiting_for(self.row(id))
        return Response({"results": WaitingOut(found, many=True).data, "next": None})

    @describe("Move a person to another site", input=Move, output=AccountDetailOut)
    def move(self, request: PersonRequest, id: UUID) -> Response:
        user, sites = self.row(id), selectors.visible_sites(request.user)
        asked = self.read(Move)
        origin, to = (find(sites, asked[name]) for name in ("origin", "to"))
        move_person(user=user, origin=origin, to=to, by=request.user)
        return self.retrieve(request, id)

    @describe("Remove an account's second factors")
    def reset(self, request: PersonRequest, id: UUID) -> Response:
        reset_factors(user=self.row(id), by=request.user)
        return self.done()

"""One's own account: name, password, tokens and sessions."""

from typing import Any
from uuid import UUID

from django.db import transaction
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from accounts import factors, identities, sessions
from accounts.models import ApiToken
from accounts.profile import change_password, choose_language, choose_time_zone, rename_self
from accounts.scopes import TokenScope
from accounts.tokens import make_token, revoke_token, tokens_of
from portal.api.base import Input, Output, PersonRequest, Resource, checked, describe
from portal.api.choices import FACTOR_KINDS, SESSION_KINDS, TOKEN_SCOPES
from portal.api.conditions import Conditional
from portal.api.idempotency import Repeatable
from portal.api.people import AccountOut, RoleHeldOut
from portal.throttles import PasswordByPerson


class MeOut(AccountOut):
    """The person who asks, with their roles."""

    roles = RoleHeldOut(many=True)
    time_zone = serializers.CharField(help_text="In which pages show times; the API's are UTC")
    language = serializers.CharField(help_text="Of pages and e-mail; empty: as the browser asks. The API's is English")


class OwnProfile(Input):
    """How the person wants to be called, and in which time zone and language to read pages."""

    name = serializers.CharField(max_length=120, required=False)
    time_zone = serializers.CharField(max_length=60, required=False, help_text="Such as Europe/Zurich")
    language = serializers.CharField(max_length=8, required=False, allow_blank=True, help_text="en, de, or empty")


class NewPassword(Input):
    """A new password, and the present one of who has one."""

    current = serializers.CharField(
        max_length=128, trim_whitespace=False, allow_blank=True, default="",
        help_text="Left out by who has none, as they come in by single sign-on",
    )  # fmt: skip
    new = serializers.CharField(max_length=128, trim_whitespace=False)


class NewToken(Input):
    """What a token is for, and for how long."""

    name = serializers.CharField(max_length=80)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=TOKEN_SCOPES), min_length=1, max_length=3)
    days = serializers.IntegerField(min_value=1, max_value=ApiToken.LONGEST.days, default=30)


class OwnTokenOut(Output):
    """A token, as its owner sees it; `hint` is how it begins."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=TOKEN_SCOPES))
    hint = serializers.CharField(source="token_key")
    created_at = serializers.DateTimeField(source="created")
    expires_at = serializers.DateTimeField(source="expiry")
    last_used_at = serializers.DateTimeField(allow_null=True)


class MadeTokenOut(OwnTokenOut):
    """A new token with `token`, for `Authorization: Token ...`; it is shown this once."""

    token = serializers.CharField()


class SessionOut(Output):
    """A place where the person is signed in."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=SESSION_KINDS)
    address = serializers.CharField()
    agent = serializers.CharField()
    started_at = serializers.DateTimeField()
    seen_at = serializers.DateTimeField()
    is_current = serializers.BooleanField()


class FactorOut(Output):
    """A second factor."""

    id = serializers.IntegerField()
    name = serializers.CharField(source="__str__")
    kind = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.ChoiceField(choices=FACTOR_KINDS))
    def get_kind(self, factor: Any) -> str:
        return factors.KINDS[factor.type]


class IdentityOut(Output):
    """Who the person is at the provider of single sign-on."""

    id = serializers.UUIDField()
    issuer = serializers.CharField()
    email = serializers.CharField(help_text="As the provider had it")
    linked_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)


class MeView(Conditional):
    """The person who asks."""

    @extend_schema(summary="Who am I", responses={200: MeOut})
    def get(self, request: PersonRequest) -> Response:
        return Response(MeOut(request.user).data)

    @extend_schema(summary="Change one's own name, time zone or language", request=OwnProfile, responses={200: MeOut})
    @transaction.atomic
    def patch(self, request: PersonRequest) -> Response:
        given, user = checked(OwnProfile, request.data), request.user
        if "name" in given:
            user = rename_self(name=given["name"], by=user)
        if "time_zone" in given:
            user = choose_time_zone(time_zone=given["time_zone"], by=user)
        if "language" in given:
            user = choose_language(language=given["language"], by=user)
        return Response(MeOut(user).data)


class OwnPassword(Repeatable):
    """One's own password."""

    throttle_classes = [PasswordByPerson]

    @extend_schema(summary="Change one's own password, or set a first one", request=NewPassword, responses={204: None})
    def post(self, request: PersonRequest) -> Response:
        change_password(**checked(NewPassword, request.data), keep=_current(request), by=request.user)
        return Response(status=204)


class OwnTokens(Resource):
    """The person's own tokens."""

    selector = staticmethod(tokens_of)
    output = OwnTokenOut
    ordering = ("-created", "id")

    @describe("List one's tokens", output=OwnTokenOut, many=True)
    def list(self, request: PersonRequest) -> Response:
        return self.page(self.rows())

    @describe("Make a token", input=NewToken, output=MadeTokenOut, status=201)
    def create(self, request: PersonRequest) -> Response:
        wanted = self.read(NewToken)
        scopes = {TokenScope(scope) for scope in wanted.pop("scopes")}
        token, secret = make_token(**wanted, scopes=scopes, by=request.user)
        return Response({**OwnTokenOut(token).data, "token": secret}, status=201)

    @describe("Revoke a token")
    def remove(self, request: PersonRequest, id: UUID) -> Response:
        revoke_token(token=self.row(id), by=request.user)
        return self.done()


class OwnFactors(Resource):
    """The person's second factors. New ones are added on the portal's pages."""

    selector = staticmethod(factors.factors_of)
    output = FactorOut
    ordering = ("created_at", "id")

    @describe("List one's second factors", output=FactorOut, many=True)
    def list(self, request: PersonRequest) -> Response:
        return self.page(self.rows())

    @describe("Remove a second factor")
    def remove(self, request: PersonRequest, id: str) -> Response:
        factors.remove_factor(factor=factors.factor_named(request.user, id), by=request.user)
        return self.done()


class OwnIdentities(Resource):
    """What lets the person in by single sign-on. New ones are linked on the portal's pages."""

    selector = staticmethod(identities.identities_of)
    output = IdentityOut
    ordering = ("linked_at", "id")

    @describe("List what lets one in by single sign-on", output=IdentityOut, many=True)
    def list(self, request: PersonRequest) -> Response:
        return self.page(self.rows())

    @describe("Unlink single sign-on")
    def remove(self, request: PersonRequest, id: UUID) -> Response:
        identities.unlink_identity(id=id, by=request.user)
        return self.done()


class OwnSessions(Resource):
    """Where the person is signed in."""

    output = SessionOut

    @describe("List one's sessions", output=SessionOut, many=True)
    def list(self, request: PersonRequest) -> Response:
        current = _current(request)
        found = [{**vars(item), "is_current": item.id == current} for item in sessions.sessions_of(request.user)]
        return Response({"results": SessionOut(found, many=True).data, "next": None})

    @describe("End a session")
    def remove(self, request: PersonRequest, id: UUID) -> Response:
        sessions.end_session(id=id, by=request.user)
        return self.done()

    @describe("End all other sessions")
    def end_others(self, request: PersonRequest) -> Response:
        sessions.end_other_sessions(keep=_current(request), by=request.user)
        return self.done()


def _current(request: Any) -> UUID | None:
    """The id of the session in which the request is made."""
    return request.auth.pk if isinstance(request.auth, ApiToken) else sessions.handle_of(request.session)

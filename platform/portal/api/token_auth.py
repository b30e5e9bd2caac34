"""Requests with a token, or with the session of a program: `Authorization: Token ...`."""

from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from knox.auth import TokenAuthentication as KnoxAuthentication
from rest_framework.request import Request

from accounts.models import ApiToken, User
from accounts.tokens import note_use
from portal.api.scopes import check_scope


class TokenAuthentication(KnoxAuthentication):
    """Finds whose token it is, and holds every operation of every view to the token's scopes."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        found: tuple[User, ApiToken] | None = super().authenticate(request)
        if found is not None:
            check_scope(found[1], request)
            note_use(found[1])
        return found

    def _cleanup_token(self, auth_token: ApiToken) -> bool:
        """Whether the token is over. Knox's own way looks each time through all tokens of the person, to delete what is
        over; that is done where new ones are made."""
        return auth_token.expiry < timezone.now()


class TokenScheme(OpenApiAuthenticationExtension):
    """How the OpenAPI document speaks of tokens."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            **build_bearer_security_scheme_object("Authorization", self.target.authenticate_header("")),
            "description": "A token that its owner made, held to its scopes; or the session of a program that signed "
            "in by /auth/token.",
        }

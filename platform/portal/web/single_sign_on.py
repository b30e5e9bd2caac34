"""Single sign-on by OpenID Connect: allauth speaks with the provider, and what comes back is held to the rules here.

The ID token's signature is always verified, and it must be of the configured issuer, for this portal, fresh, and for
the nonce of the session that asked. Neither allauth's pages nor its way of matching accounts are used.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.internal import jwtkit
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from jwt import PyJWTError, get_unverified_header

PROVIDER = "sso"
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
NEEDED = ("iss", "sub", "aud", "exp", "iat")
SIGN_IN, LINK = "login", "connect"
Claims = Mapping[str, Any]


@dataclass(frozen=True)
class Shown:
    """Who somebody is, as the provider says.

    Attributes:
        email: empty where it does not say that it is verified.
        name: empty where it does not say one.
        has_factor: whether a second factor was shown there, in a way that this portal counts.
    """

    issuer: str
    subject: str
    email: str
    name: str
    has_factor: bool

    @classmethod
    def of(cls, token: Claims, further: Claims) -> Shown:
        """From the ID token, and what the provider tells further."""
        sso, known = settings.FEDSTUDY_SINGLE_SIGN_ON, {**token, **further}
        is_verified = any(known.get(name) is True for name in sso.verified_claims)
        methods = token.get("amr")
        shown = set(methods) if isinstance(methods, list) else set()
        return cls(
            issuer=str(token["iss"]),
            subject=str(token["sub"]),
            email=str(known.get("email", "")) if is_verified else "",
            name=str(known.get("name") or ""),
            has_factor=bool(shown & sso.factor_amr) or token.get("acr") in sso.factor_acr,
        )


def is_offered() -> bool:
    """Whether the portal has a provider."""
    return bool(settings.FEDSTUDY_SINGLE_SIGN_ON.issuer)


def lead_there(request: HttpRequest, process: str, **asked: str) -> HttpResponse:
    """The redirect to the provider.

    Args:
        process: SIGN_IN or LINK.
        asked: comes back with the answer, in this session alone: `goes_to`; `person`, who links; or `invitation`,
            which somebody takes up, with the `name` that they typed.

    Raises:
        RequestException: the provider does not answer.
    """
    nonce = secrets.token_urlsafe(24)
    provider = Exchange(request, PROVIDER).get_provider()
    answer: HttpResponse = provider.redirect(
        request, process, data={**asked, "nonce": nonce}, auth_params={"nonce": nonce}
    )
    return answer


def come_back(request: HttpRequest) -> HttpResponse:
    """What the provider's answer leads to: `finish` or `refuse` of the views."""
    view: Callable[[HttpRequest], HttpResponse] = OAuth2CallbackView.adapter_view(Exchange(request, PROVIDER))
    return view(request)


class Exchange(OpenIDConnectOAuth2Adapter):
    """The exchange with the provider, stricter than allauth's own."""

    def get_provider(self) -> Any:
        provider = super().get_provider()
        provider.oauth2_adapter_class = Exchange
        return provider

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return f"{settings.FEDSTUDY_PUBLIC_URL}{reverse('web:sso-back')}"

    def complete_login(self, request: HttpRequest, app: SocialApp, token: Any, **further: Any) -> Any:
        if not further["response"].get("id_token"):
            raise OAuth2Error("the provider sent no ID token")
        login = super().complete_login(request, app, token, **further)
        told = login.account.extra_data
        if told["userinfo"].get("sub") != told["id_token"]["sub"]:
            raise OAuth2Error("what the provider tells is of somebody else")
        return login

    def _decode_id_token(self, app: SocialApp, id_token: str) -> dict[str, Any]:
        if self.openid_config["issuer"].rstrip("/") != settings.FEDSTUDY_SINGLE_SIGN_ON.issuer:
            raise OAuth2Error("the provider calls itself by another name")
        try:
            if get_unverified_header(id_token).get("alg") not in ALGORITHMS:
                raise OAuth2Error("the ID token is not signed as it should be")
            claims: dict[str, Any] = jwtkit.verify_and_decode(
                credential=id_token,
                keys_url=self.openid_config["jwks_uri"],
                issuer=self.openid_config["issuer"],
                audience=app.client_id,
                lookup_kid=jwtkit.lookup_kid_jwk,
            )
        except (PyJWTError, KeyError, ValueError, TypeError) as error:
            raise OAuth2Error("the ID token cannot be read") from error
        if any(name not in claims for name in NEEDED) or claims.get("azp", app.client_id) != app.client_id:
            raise OAuth2Error("the ID token lacks what it must say")
        return claims


class Adapter(DefaultSocialAccountAdapter):
    """Hands what allauth found over to the portal's own views, and nothing to allauth's."""

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> NoReturn:
        from portal.web.views.single_sign_on import finish, refuse

        told, asked = sociallogin.account.extra_data, sociallogin.state.get("data") or {}
        token = told["id_token"]
        if not secrets.compare_digest(str(token.get("nonce", "")), str(asked.get("nonce", "-"))):
            raise ImmediateHttpResponse(refuse(request))
        shown = Shown.of(token, told["userinfo"])
        raise ImmediateHttpResponse(finish(request, shown, sociallogin.state.get("process"), asked))

    def on_authentication_error(self, request: HttpRequest, provider: Any, *_: Any, **why: Any) -> NoReturn:
        from portal.web.views.single_sign_on import refuse

        raise ImmediateHttpResponse(refuse(request, why.get("exception")))

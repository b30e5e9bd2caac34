"""Read the portal's configuration from environment variables; every failure says what to set."""

import os
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

PROFILES = ("production", "demo", "test")


def required(name: str) -> str:
    """The value of an environment variable without which the portal cannot start."""
    value = os.environ.get(name, "")
    if not value:
        raise ImproperlyConfigured(f"The environment variable {name} is not set; the portal cannot start without it.")
    return value


def optional(name: str, default: str = "") -> str:
    """The value of an environment variable, or `default` when it is unset or empty."""
    return os.environ.get(name) or default


def whole_number(name: str, default: int) -> int:
    """An environment variable that holds a whole number."""
    text = optional(name, str(default))
    if not text.isdecimal():
        raise ImproperlyConfigured(f"The environment variable {name} must be a whole number, not {text!r}.")
    return int(text)


def names(name: str, default: str = "") -> list[str]:
    """An environment variable that holds a comma-separated list."""
    return [part.strip() for part in optional(name, default).split(",") if part.strip()]


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """An environment variable that holds a comma-separated list of networks, such as 10.0.0.0/8."""
    try:
        return [ip_network(part) for part in names(name)]
    except ValueError as error:
        raise ImproperlyConfigured(f"The environment variable {name} names no network: {error}.") from error


def profile() -> str:
    """Which of the profiles (production, demo, test) the portal runs under."""
    value = optional("FEDSTUDY_PROFILE", "production")
    if value not in PROFILES:
        raise ImproperlyConfigured(f"FEDSTUDY_PROFILE must be one of {', '.join(PROFILES)}, not {value!r}.")
    return value


def existing_path(name: str) -> Path | None:
    """A path from the environment, or None when the variable is not set."""
    text = optional(name)
    return Path(text) if text else None


def secret_text(name: str) -> str:
    """A secret that an environment variable holds, or the file that NAME_FILE names."""
    path = existing_path(f"{name}_FILE")
    return path.read_text("utf-8").strip() if path else optional(name)


def database(url: str, *, pool: bool) -> dict[str, Any]:
    """Django's settings of the PostgreSQL database at `url`.

    A query parameter `host` names a folder with a Unix socket; all others go to libpq as they are.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ImproperlyConfigured("FEDSTUDY_DATABASE_URL must start with postgresql://")
    parameters = dict(parse_qsl(parts.query))
    options: dict[str, Any] = {"application_name": "fedstudy"}
    host = parameters.pop("host", "") or unquote(parts.hostname or "")
    port = parameters.pop("port", "") or (str(parts.port) if parts.port else "")
    options.update(parameters)
    if pool:
        options["pool"] = {
            "min_size": 1,
            "max_size": whole_number("FEDSTUDY_DATABASE_POOL", 16),
            "timeout": 10,
        }
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "fedstudy",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": port,
        "CONN_MAX_AGE": 0,
        "OPTIONS": options,
    }


@dataclass(frozen=True)
class Redis:
    """One Redis (or Valkey) server, in the spelling that each library wants."""

    url: str

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("redis", "rediss", "unix"):
            raise ImproperlyConfigured("FEDSTUDY_REDIS_URL must start with redis://, rediss:// or unix://")

    @property
    def broker_url(self) -> str:
        """The address as Celery's transport wants it (a Unix socket is `redis+socket://`)."""
        parts = urlsplit(self.url)
        if parts.scheme != "unix":
            return self.url
        number = dict(parse_qsl(parts.query)).get("db", "0")
        return f"redis+socket://{quote(unquote(parts.path))}?virtual_host={number}"


@dataclass(frozen=True)
class SingleSignOn:
    """An OpenID Connect provider that people sign in with; none where there is no issuer.

    Attributes:
        verified_claims: names of claims of which a true one says that the e-mail address is verified.
        factor_amr, factor_acr: values of the claims `amr` and `acr` that say that a second factor was shown there.
        replaces_password: whether people who are linked come in by it alone; not so for platform administrators.
    """

    issuer: str = ""
    client_id: str = ""
    secret: str = ""
    name: str = "single sign-on"
    verified_claims: tuple[str, ...] = ("email_verified",)
    factor_amr: frozenset[str] = frozenset()
    factor_acr: frozenset[str] = frozenset()
    replaces_password: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.issuer)
        if self.issuer and parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost"):
            raise ImproperlyConfigured("FEDSTUDY_OIDC_ISSUER must start with https://")
        if self.issuer and not (self.client_id and self.secret):
            raise ImproperlyConfigured("Set FEDSTUDY_OIDC_CLIENT_ID and FEDSTUDY_OIDC_CLIENT_SECRET too.")

    @classmethod
    def read(cls) -> "SingleSignOn":
        """From the environment."""
        return cls(
            issuer=optional("FEDSTUDY_OIDC_ISSUER").rstrip("/"),
            client_id=optional("FEDSTUDY_OIDC_CLIENT_ID"),
            secret=secret_text("FEDSTUDY_OIDC_CLIENT_SECRET"),
            name=optional("FEDSTUDY_OIDC_NAME", "single sign-on"),
            verified_claims=tuple(names("FEDSTUDY_OIDC_VERIFIED_CLAIMS", "email_verified")),
            factor_amr=frozenset(names("FEDSTUDY_OIDC_FACTOR_AMR")),
            factor_acr=frozenset(names("FEDSTUDY_OIDC_FACTOR_ACR")),
            replaces_password=optional("FEDSTUDY_OIDC_REPLACES_PASSWORD", "no") == "yes",
        )

    @property
    def providers(self) -> dict[str, Any]:
        """As allauth wants it."""
        if not self.issuer:
            return {}
        app = {
            "provider_id": "sso",
            "name": self.name,
            "client_id": self.client_id,
            "secret": self.secret,
            "settings": {"server_url": self.issuer, "oauth_pkce_enabled": True},
        }
        return {"openid_connect": {"APPS": [app]}}

    @property
    def open_part(self) -> tuple[object, ...]:
        """All of it but the secret, in an order that is always the same."""
        known = (self.issuer, self.client_id, self.name, self.verified_claims)
        return (*known, sorted(self.factor_amr), sorted(self.factor_acr), self.replaces_password)

    @property
    def origins(self) -> list[str]:
        """Where forms may lead to: the provider's own origin, and those that its pages have."""
        own = urlsplit(self.issuer)
        return [f"{own.scheme}://{own.netloc}", *names("FEDSTUDY_OIDC_ORIGINS")] if self.issuer else []


@dataclass(frozen=True)
class Mail:
    """Where e-mail goes: `smtp://user:password@host:587` (with STARTTLS), `smtps://...:465`, `file:///folder`, or
    "console:" for the process's own output; nowhere when the address is empty."""

    url: str

    def __post_init__(self) -> None:
        if self.url and urlsplit(self.url).scheme not in ("smtp", "smtps", "file", "console"):
            raise ImproperlyConfigured("FEDSTUDY_EMAIL_URL must start with smtp://, smtps://, file:// or console:")

    @property
    def settings(self) -> dict[str, Any]:
        """Django's settings by their names."""
        parts = urlsplit(self.url)
        backends = {"": "dummy", "smtp": "smtp", "smtps": "smtp", "file": "filebased", "console": "console"}
        found: dict[str, Any] = {"EMAIL_BACKEND": f"django.core.mail.backends.{backends[parts.scheme]}.EmailBackend"}
        if parts.scheme == "file":
            found["EMAIL_FILE_PATH"] = unquote(parts.path)
        if parts.scheme in ("smtp", "smtps"):
            secure = parts.scheme == "smtps"
            found |= {
                "EMAIL_HOST": parts.hostname or "localhost",
                "EMAIL_PORT": parts.port or (465 if secure else 587),
                "EMAIL_HOST_USER": unquote(parts.username or ""),
                "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
                "EMAIL_USE_SSL": secure,
                "EMAIL_USE_TLS": not secure,
                "EMAIL_TIMEOUT": 20,
            }
        return found

"""How allauth keeps and names the second factors of people: secrets are encrypted with a key of the portal's."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet
from django.conf import settings

from accounts.models import User


class FactorStore(DefaultMFAAdapter):
    """The adapter that `MFA_ADAPTER` names."""

    def encrypt(self, text: str) -> str:
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _cipher().decrypt(encrypted_text.encode()).decode()

    def _get_site_name(self) -> str:
        return "FedStudy"

    def _get_user_identifier(self, user: User) -> str:
        return user.email

    def get_public_key_credential_user_entity(self, user: User) -> dict[str, Any]:
        return {"id": user_pk_to_url_str(user).encode(), "display_name": user.name, "name": user.email}


def _cipher() -> Fernet:
    secret = hashlib.sha256(b"fedstudy second factors\0" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(secret))

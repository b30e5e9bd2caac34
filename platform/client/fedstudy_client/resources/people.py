"""One's own tokens, and the accounts of people, for platform administrators."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

from fedstudy_client.records import Person, Token
from fedstudy_client.resources.base import Ref, Resource, id_of


class Tokens(Resource):
    """One's own tokens, for programs. Only who signed in by password makes and revokes them."""

    def list(self) -> list[Token]:
        """Those that have not expired."""
        return [Token.read(row) for row in self._http.each("me/tokens")]

    def create(self, name: str, *, scopes: Sequence[str], days: int = 30) -> Token:
        """Make a token; its `token` is shown this once.

        Args:
            scopes: what it is for: "read", "design", "run".
            days: until it expires, at most 90.
        """
        return Token.read(self._http.post("me/tokens", {"name": name, "scopes": [*scopes], "days": days}))

    def revoke(self, token: Ref) -> None:
        """End a token before it expires."""
        self._http.delete(f"me/tokens/{id_of(token)}")


class Users(Resource):
    """Accounts."""

    def list(self, q: str = "") -> list[Person]:
        """Every account, or those whose name or e-mail address has these words in it."""
        return [Person.read(row) for row in self._http.each("users", q=q or None)]

    def get(self, user: Ref) -> Person:
        """One account, with its roles."""
        return Person.read(self._http.get(f"users/{id_of(user)}"))

    def create(self, *, email: str, name: str, password: str, is_platform_admin: bool = False) -> Person:
        """Make an account."""
        body = {"email": email, "name": name, "password": password, "is_platform_admin": is_platform_admin}
        return Person.read(self._http.post("users", body))

    def waiting(self, user: Ref) -> builtins.list[dict[str, Any]]:
        """What waits for somebody, role by role: to be known before their account is closed, or they move."""
        return [*self._http.each(f"users/{id_of(user)}/waiting")]

    def move(self, user: Ref, *, origin: Ref, to: Ref) -> Person:
        """Move somebody to another site: rights at the old one end at once, and the new one gives its own."""
        body = {"origin": id_of(origin), "to": id_of(to)}
        return Person.read(self._http.post(f"users/{id_of(user)}/move", body))

    def reset_factors(self, user: Ref) -> None:
        """Remove the second factors of somebody who lost them; they set up new ones when they sign in next."""
        self._http.delete(f"users/{id_of(user)}/factors")

    def set_active(self, user: Ref, active: bool) -> Person:
        """Close an account, or open it again."""
        return Person.read(self._http.patch(f"users/{id_of(user)}", {"is_active": active}))

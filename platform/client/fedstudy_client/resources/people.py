"""One's own tokens, and the accounts of people, for platform administrators."""

from __future__ import annotations

from collections.abc import Sequence

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

    def reset_factors(self, user: Ref) -> None:
        """Remove the second factors of somebody who lost them; they set up new ones when they sign in next."""
        self._http.delete(f"users/{id_of(user)}/factors")

    def set_active(self, user: Ref, active: bool) -> Person:
        """Close an account, or open it again."""
        return Person.read(self._http.patch(f"users/{id_of(user)}", {"is_active": active}))

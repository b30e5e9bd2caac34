"""Accounts of people, for platform administrators."""

from __future__ import annotations

from fedstudy_client.records import Person
from fedstudy_client.resources.base import Ref, Resource, id_of


class Users(Resource):
    """Accounts."""

    def list(self) -> list[Person]:
        """Every account."""
        return [Person.read(row) for row in self._http.each("users")]

    def create(self, *, email: str, name: str, password: str, is_platform_admin: bool = False) -> Person:
        """Make an account."""
        body = {"email": email, "name": name, "password": password, "is_platform_admin": is_platform_admin}
        return Person.read(self._http.post("users", body))

    def set_active(self, user: Ref, active: bool) -> Person:
        """Close an account, or open it again."""
        return Person.read(self._http.patch(f"users/{id_of(user)}", {"is_active": active}))

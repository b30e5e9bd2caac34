"""Oneself: notifications, sessions, second factors, name and password."""

from __future__ import annotations

import builtins
from typing import Any

from fedstudy_client.records import Person
from fedstudy_client.records_news import Notification
from fedstudy_client.records_own import Factor, Session
from fedstudy_client.resources.base import Ref, Resource, id_of


class Notifications(Resource):
    """What one is told."""

    def list(self, *, unread: bool = False) -> list[Notification]:
        """One's notifications, newest first; those alone that one has not read, if wanted."""
        found = [Notification.read(row) for row in self._http.each("notifications")]
        return [item for item in found if item.read_at is None] if unread else found

    def mark_read(self, notification: Ref) -> Notification:
        """Say that one has read a notification."""
        return Notification.read(self._http.post(f"notifications/{id_of(notification)}/read"))

    def mark_all_read(self) -> None:
        """Say that one has read them all."""
        self._http.post("notifications/read")

    def by_email(self) -> bool:
        """Whether one is told by e-mail too."""
        return bool(self._http.get("notifications/preference")["by_email"])

    def choose_email(self, by_email: bool) -> bool:
        """Choose whether one is told by e-mail too."""
        return bool(self._http.put("notifications/preference", {"by_email": by_email})["by_email"])


class Account(Resource):
    """One's own account. What changes it wants that one signed in lately, and no token does it."""

    def rename(self, name: str) -> Person:
        """Change how one is called."""
        return Person.read(self._http.patch("me", {"name": name}))

    def choose_time_zone(self, time_zone: str) -> Person:
        """Choose in which time zone pages show times, such as "Europe/Zurich"; the API's are UTC."""
        return Person.read(self._http.patch("me", {"time_zone": time_zone}))

    def choose_language(self, language: str) -> Person:
        """Choose the language of pages and e-mail: "en", "de", or "" for the browser's. The API's is English."""
        return Person.read(self._http.patch("me", {"language": language}))

    def change_password(self, *, current: str = "", new: str) -> None:
        """Change one's password, or set a first one (without `current`); all other sessions end."""
        self._http.post("me/password", {"current": current, "new": new})

    def sessions(self) -> builtins.list[Session]:
        """Where one is signed in."""
        return [Session.read(row) for row in self._http.each("me/sessions")]

    def end_session(self, session: Ref) -> None:
        """Sign out elsewhere."""
        self._http.delete(f"me/sessions/{id_of(session)}")

    def end_other_sessions(self) -> None:
        """Sign out everywhere but here."""
        self._http.post("me/sessions/end-others")

    def factors(self) -> builtins.list[Factor]:
        """One's second factors; new ones are added on the portal's pages."""
        return [Factor.read(row) for row in self._http.each("me/factors")]

    def remove_factor(self, factor: Factor | int) -> None:
        """Remove a second factor."""
        self._http.delete(f"me/factors/{factor.id if isinstance(factor, Factor) else factor}")

    def identities(self) -> builtins.list[dict[str, Any]]:
        """One's linked accounts of the single sign-on."""
        return [dict(row) for row in self._http.each("me/identities")]

    def remove_identity(self, identity: str) -> None:
        """Unlink an account of the single sign-on, by its id."""
        self._http.delete(f"me/identities/{identity}")

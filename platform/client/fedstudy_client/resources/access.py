"""Who gets into a study or a site: invitations of people without an account, and requests of those who have one."""

from __future__ import annotations

from fedstudy_client.records import AccessRequest, Invitation, Person, Site, Study
from fedstudy_client.resources.base import Ref, Resource, id_of

Place = Study | Site


def path_of(place: Place) -> str:
    """The address of a study or site."""
    return f"{'studies' if isinstance(place, Study) else 'sites'}/{place.id}"


class Access(Resource):
    """Asking for a role by a join code, and deciding on what others ask for."""

    def list(self, state: str | None = None) -> list[AccessRequest]:
        """What one asked for and what is asked of one; in a state ("asked", "accepted", "refused", "withdrawn")."""
        return [AccessRequest.read(row) for row in self._http.each("access-requests", state=state)]

    def get(self, request: Ref) -> AccessRequest:
        """One request as it stands now."""
        return AccessRequest.read(self._http.get(f"access-requests/{id_of(request)}"))

    def ask(self, code: str, *, role: str, reason: str) -> AccessRequest:
        """Ask for a role where the code leads to."""
        body = {"code": code, "role": role, "reason": reason}
        return AccessRequest.read(self._http.post("access-requests", body))

    def accept(self, request: Ref, *, answer: str = "") -> AccessRequest:
        """Give the role that was asked for."""
        return AccessRequest.read(self._http.post(f"access-requests/{id_of(request)}/accept", {"answer": answer}))

    def refuse(self, request: Ref, *, answer: str) -> AccessRequest:
        """Refuse, and say why."""
        return AccessRequest.read(self._http.post(f"access-requests/{id_of(request)}/refuse", {"answer": answer}))

    def withdraw(self, request: Ref) -> AccessRequest:
        """Take one's own request back."""
        return AccessRequest.read(self._http.post(f"access-requests/{id_of(request)}/withdraw"))

    def code(self, place: Place) -> str:
        """The join code of a study or site that one leads (`E_NOT_FOUND` where there is none)."""
        return str(self._http.get(f"{path_of(place)}/join-code")["code"])

    def make_code(self, place: Place) -> str:
        """Make a join code; the one before ends."""
        return str(self._http.post(f"{path_of(place)}/join-code")["code"])

    def end_code(self, place: Place) -> None:
        """End the join code: nobody can ask any more."""
        self._http.delete(f"{path_of(place)}/join-code")


class Invitations(Resource):
    """Inviting people who have no account yet to a role, by links that work once."""

    def list(self, place: Place) -> list[Invitation]:
        """The open invitations to a study or site."""
        return [Invitation.read(row) for row in self._http.each(f"{path_of(place)}/invitations")]

    def invite(self, place: Place, *, email: str, role: str) -> Invitation:
        """Invite somebody; `token` of the answer is for the link and is shown this once."""
        return Invitation.read(self._http.post(f"{path_of(place)}/invitations", {"email": email, "role": role}))

    def revoke(self, place: Place, invitation: Ref) -> None:
        """Take an invitation back."""
        self._http.delete(f"{path_of(place)}/invitations/{id_of(invitation)}")

    def take_up(self, *, token: str, name: str, password: str) -> Person:
        """Open the account that one was invited to; then `login`."""
        body = {"token": token, "name": name, "password": password}
        return Person.read(self._http.post("invitations/take-up", body))

"""Sites, their people, and their nodes."""

from __future__ import annotations

import builtins
from typing import Any

from fedstudy_client.records import Member, Node, Site
from fedstudy_client.resources.base import Ref, Resource, id_of


class Sites(Resource):
    """Hospitals and clinics."""

    def list(self) -> list[Site]:
        """The sites that one may see."""
        return [Site.read(row) for row in self._http.each("sites")]

    def get(self, site: Ref) -> Site:
        """One site."""
        return Site.read(self._http.get(f"sites/{id_of(site)}"))

    def invitable(self, study: Ref) -> builtins.list[Site]:
        """The sites that could still be invited to a study that one leads."""
        return [Site.read(row) for row in self._http.each(f"studies/{id_of(study)}/invitable-sites")]

    def create(self, *, name: str, short_name: str, city: str = "", country: str = "") -> Site:
        """Make a site (platform administrators)."""
        body = {"name": name, "short_name": short_name, "city": city, "country": country}
        return Site.read(self._http.post("sites", body))

    def uses(self, site: Ref, *, dataset: Ref | None = None, run: Ref | None = None) -> builtins.list[dict[str, Any]]:
        """What runs did with the site's data, newest first: each exchange with what came in and what left."""
        wanted = {"dataset": dataset and id_of(dataset), "run": run and id_of(run)}
        return builtins.list(self._http.each(f"sites/{id_of(site)}/uses", **wanted))

    def people(self, site: Ref) -> builtins.list[Member]:
        """Who holds which role at the site."""
        return [Member.read(row) for row in self._http.each(f"sites/{id_of(site)}/people")]

    def add_person(self, site: Ref, *, user: str, role: str) -> Member:
        """Give a role ("admin", "steward") to a person, named by id or e-mail address."""
        return Member.read(self._http.post(f"sites/{id_of(site)}/people", {"user": user, "role": role}))

    def remove_person(self, site: Ref, *, user: Ref, role: str) -> None:
        """Take a role back."""
        self._http.delete(f"sites/{id_of(site)}/people/{id_of(user)}/{role}")


class Nodes(Resource):
    """The agents installed at sites."""

    def list(self, site: Ref | None = None, *, version: str = "") -> list[Node]:
        """The nodes that one may see, or one site's.

        Args:
            version: those alone whose version stands so to the portal's: "current", "behind", "ahead" or "unknown".
        """
        if site is not None:
            return [Node.read(row) for row in self._http.each(f"sites/{id_of(site)}/nodes")]
        return [Node.read(row) for row in self._http.each("nodes", version=version or None)]

    def get(self, node: Ref) -> Node:
        """One node, with whether it is online."""
        return Node.read(self._http.get(f"nodes/{id_of(node)}"))

    def create(self, site: Ref, *, name: str) -> Node:
        """Expect a node; `token` of the answer is for `fedstudy-node enrol` and is shown this once."""
        return Node.read(self._http.post(f"sites/{id_of(site)}/nodes", {"name": name}))

    def renew_token(self, node: Ref) -> Node:
        """A new `token` for a node that has not enrolled yet; the one before is void."""
        return Node.read(self._http.post(f"nodes/{id_of(node)}/token"))

    def confirm(self, node: Ref, *, words: str) -> Node:
        """Say which six words the node showed when it enrolled; only then it is trusted."""
        return Node.read(self._http.post(f"nodes/{id_of(node)}/confirm", {"words": words}))

    def revoke(self, node: Ref, *, reason: str = "") -> Node:
        """Trust the node no more; this is for good."""
        return Node.read(self._http.post(f"nodes/{id_of(node)}/revoke", {"reason": reason}))

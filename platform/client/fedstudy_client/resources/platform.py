"""How the platform is, for platform administrators."""

from __future__ import annotations

from typing import Any

from fedstudy_client.resources.base import Resource


class Platform(Resource):
    """What keeps the platform going."""

    def health(self) -> dict[str, Any]:
        """`parts`, each with its state ("ok", "warning", "failing", "unknown"), `software`, and versions of `nodes`."""
        return self._http.get("platform/health")

    def queue(self) -> dict[str, Any]:
        """The runs that are `running` and those that are `queued`, with their places and what they wait for."""
        return self._http.get("platform/queue")

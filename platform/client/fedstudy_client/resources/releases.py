"""Model cards, and requests that a model may leave the platform."""

from __future__ import annotations

from typing import Any

from fedstudy_client.records import Release
from fedstudy_client.resources.base import Ref, Resource, id_of


class Releases(Resource):
    """Releases of models, and the cards that they are asked with."""

    def card(self, run: Ref) -> dict[str, Any]:
        """The model card of a run's newest model."""
        return self._http.get(f"runs/{id_of(run)}/card")

    def write_card(self, run: Ref, **words: str) -> dict[str, Any]:
        """Change `intended_use` or `caveats` on the card of a run."""
        return self._http.put(f"runs/{id_of(run)}/card", words)

    def card_text(self, run: Ref) -> str:
        """The model card as Markdown."""
        return self._http.download(f"runs/{id_of(run)}/card/text").decode("utf-8")

    def list(self, run: Ref) -> list[Release]:
        """The releases that were asked for of a run, newest first."""
        return [Release.read(row) for row in self._http.each(f"runs/{id_of(run)}/releases")]

    def get(self, release: Ref) -> Release:
        """One release."""
        return Release.read(self._http.get(f"releases/{id_of(release)}"))

    def request(self, run: Ref, *, recipient: str, purpose: str, round: int | None = None) -> Release:
        """Ask that a run's model (the newest, or that of a round) may leave the platform; right after `login`."""
        body = {"recipient": recipient, "purpose": purpose, **({} if round is None else {"round": round})}
        return Release.read(self._http.post(f"runs/{id_of(run)}/releases", body))

    def cosign(self, release: Ref, site: Ref) -> Release:
        """Consent for a site (data stewards); right after `login`."""
        return Release.read(self._http.post(f"releases/{id_of(release)}/cosign", {"site": id_of(site)}))

    def refuse(self, release: Ref, site: Ref, *, reason: str) -> Release:
        """Refuse for a site (data stewards); right after `login`."""
        body = {"site": id_of(site), "reason": reason}
        return Release.read(self._http.post(f"releases/{id_of(release)}/refuse", body))

    def withdraw(self, release: Ref) -> Release:
        """Take a request back."""
        return Release.read(self._http.post(f"releases/{id_of(release)}/withdraw"))

    def model(self, release: Ref) -> bytes:
        """The released model, as safetensors."""
        return self._http.download(f"releases/{id_of(release)}/model")

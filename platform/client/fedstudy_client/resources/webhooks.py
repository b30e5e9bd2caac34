"""Webhooks: addresses that are told of a study's news."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from fedstudy_client.records_news import Delivery, Webhook
from fedstudy_client.resources.base import Ref, Resource, id_of


class Webhooks(Resource):
    """Webhooks of the studies that one leads. `fedstudy_client.webhooks.verify` is for those who receive."""

    def list(self, study: Ref) -> list[Webhook]:
        """The study's webhooks, newest first."""
        return [Webhook.read(row) for row in self._http.each(f"studies/{id_of(study)}/webhooks")]

    def get(self, webhook: Ref) -> Webhook:
        """One webhook."""
        return Webhook.read(self._http.get(f"webhooks/{id_of(webhook)}"))

    def register(self, study: Ref, url: str, *, kinds: Sequence[str]) -> Webhook:
        """Have news sent to an address; `secret` of the answer is shown this once.

        Args:
            kinds: which news, such as "run.completed" and "approval.recorded".
        """
        body = {"url": url, "kinds": [*kinds]}
        return Webhook.read(self._http.post(f"studies/{id_of(study)}/webhooks", body))

    def update(self, webhook: Ref, *, url: str | None = None, kinds: Sequence[str] | None = None) -> Webhook:
        """Change where news goes, or which."""
        changes = {"url": url, "kinds": None if kinds is None else [*kinds]}
        body = {name: value for name, value in changes.items() if value is not None}
        return Webhook.read(self._http.patch(f"webhooks/{id_of(webhook)}", body))

    def remove(self, webhook: Ref) -> None:
        """Remove a webhook with its log."""
        self._http.delete(f"webhooks/{id_of(webhook)}")

    def enable(self, webhook: Ref) -> Webhook:
        """Switch a webhook on again."""
        return Webhook.read(self._http.post(f"webhooks/{id_of(webhook)}/enable"))

    def disable(self, webhook: Ref) -> Webhook:
        """Switch a webhook off; what happens meanwhile is not told later."""
        return Webhook.read(self._http.post(f"webhooks/{id_of(webhook)}/disable"))

    def rotate(self, webhook: Ref) -> Webhook:
        """Give a webhook a new `secret`; for a day messages have the signature of the old one too."""
        return Webhook.read(self._http.post(f"webhooks/{id_of(webhook)}/rotate"))

    def test(self, webhook: Ref) -> Delivery:
        """Send a message that says nothing."""
        return Delivery.read(self._http.post(f"webhooks/{id_of(webhook)}/test"))

    def deliveries(self, webhook: Ref) -> builtins.list[Delivery]:
        """What was sent in the last month, newest first."""
        return [Delivery.read(row) for row in self._http.each(f"webhooks/{id_of(webhook)}/deliveries")]

    def repeat(self, delivery: Ref) -> Delivery:
        """Send a message again, with the id that it had."""
        return Delivery.read(self._http.post(f"webhook-deliveries/{id_of(delivery)}/repeat"))

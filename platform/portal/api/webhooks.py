"""Webhooks of studies: where news goes, and what was sent there."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response

from accounts.permissions import Permission, check
from portal.api.base import Input, Output, PersonRequest, Resource, describe
from portal.api.names import NameOut
from studies.lifecycle import selectors as studies
from webhooks import selectors, services, states
from webhooks.kinds import NAMES
from webhooks.models import Webhook


class WebhookOut(Output):
    """An address that is told of a study's news."""

    id = serializers.UUIDField()
    study = serializers.UUIDField(source="study_id")
    url = serializers.CharField()
    kinds = serializers.ListField(child=serializers.CharField())
    state = serializers.ChoiceField(choices=states.WEBHOOK.states)
    disabled_reason = serializers.CharField()
    old_until = serializers.DateTimeField(
        allow_null=True, help_text="Until when messages are signed with the secret before this one, too"
    )
    created_by = NameOut()
    created_at = serializers.DateTimeField()


class MadeWebhookOut(WebhookOut):
    """A webhook with its new `secret`, by which receivers verify messages; it is shown this once."""

    secret = serializers.CharField()


class NewWebhook(Input):
    """Where news is to go, and which."""

    url = serializers.CharField(max_length=500)
    kinds = serializers.ListField(child=serializers.ChoiceField(choices=NAMES), min_length=1, max_length=len(NAMES))


class WebhookChange(Input):
    """What changes; the rest stays."""

    url = serializers.CharField(max_length=500, required=False)
    kinds = serializers.ListField(
        child=serializers.ChoiceField(choices=NAMES), min_length=1, max_length=len(NAMES), required=False
    )


class DeliveryOut(Output):
    """A message, and what became of it. `message` is what it is called where it arrives (`webhook-id`)."""

    id = serializers.UUIDField()
    message = serializers.CharField()
    kind = serializers.CharField()
    body = serializers.CharField()
    state = serializers.ChoiceField(choices=states.DELIVERY.states)
    tries = serializers.IntegerField()
    next_at = serializers.DateTimeField(help_text="When it is tried again, while it waits")
    tried_at = serializers.DateTimeField(allow_null=True)
    status = serializers.IntegerField(allow_null=True, help_text="HTTP status of the last answer")
    problem = serializers.CharField()
    duration_ms = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class StudyWebhooks(Resource):
    """The webhooks of one study."""

    selector = staticmethod(studies.visible_to)
    output = WebhookOut

    @describe("List the webhooks", output=WebhookOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        study = self.row(id)
        check(request.user, Permission.WEBHOOKS_MANAGE, study)
        return self.page(selectors.visible_to(request.user).filter(study=study))

    @describe("Register a webhook", input=NewWebhook, output=MadeWebhookOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        made = services.register_webhook(study=self.row(id), **self.read(NewWebhook), by=request.user)
        return Response(_with_secret(*made), status=201)


class Webhooks(Resource):
    """Webhooks that the user manages."""

    selector = staticmethod(selectors.visible_to)
    output = WebhookOut

    @describe("Show a webhook", output=WebhookOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(self.row(id))

    @describe("Change where news goes, or which", input=WebhookChange, output=WebhookOut)
    def change(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(services.change_webhook(webhook=self.row(id), **self.read(WebhookChange), by=request.user))

    @describe("Remove a webhook with its log")
    def remove(self, request: PersonRequest, id: UUID) -> Response:
        services.remove_webhook(webhook=self.row(id), by=request.user)
        return self.done()

    @describe("Switch a webhook on again", output=WebhookOut)
    def enable(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(services.switch_webhook(webhook=self.row(id), on=True, by=request.user))

    @describe("Switch a webhook off", output=WebhookOut)
    def disable(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(services.switch_webhook(webhook=self.row(id), on=False, by=request.user))

    @describe("Give a webhook a new secret; for a day messages have the signature of the old one too",
              output=MadeWebhookOut)  # fmt: skip
    def rotate(self, request: PersonRequest, id: UUID) -> Response:
        return Response(_with_secret(*services.renew_secret(webhook=self.row(id), by=request.user)))

    @describe("Send a test message", output=DeliveryOut, status=201)
    def test(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(services.send_test(webhook=self.row(id), by=request.user), DeliveryOut, status=201)

    @describe("List what was sent", output=DeliveryOut, many=True)
    def deliveries(self, request: PersonRequest, id: UUID) -> Response:
        return self.page(selectors.deliveries_visible_to(request.user).filter(webhook=self.row(id)), DeliveryOut)


class Deliveries(Resource):
    """Messages of webhooks that the user manages."""

    selector = staticmethod(selectors.deliveries_visible_to)
    output = DeliveryOut

    @describe("Send a message again, with the id that it had", output=DeliveryOut)
    def repeat(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(services.send_again(delivery=self.row(id), by=request.user))


def _with_secret(webhook: Webhook, secret: str) -> dict[str, Any]:
    return {**WebhookOut(webhook).data, "secret": secret}

"""What the user is told, and whether by e-mail too."""

from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from notifications import selectors, services
from notifications.models import KINDS
from portal.api.base import Input, Output, PersonRequest, Resource, checked, describe
from portal.api.conditions import Conditional


class NotificationOut(Output):
    """One thing that the user is told; `link` is a path of the portal's pages."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=KINDS)
    subject = serializers.CharField()
    link = serializers.CharField()
    created_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)
    emailed_at = serializers.DateTimeField(allow_null=True)


class PreferenceOut(Output):
    """Whether the user gets e-mail."""

    by_email = serializers.BooleanField()


class NewPreference(Input):
    """Whether the user wants e-mail."""

    by_email = serializers.BooleanField()


class Notifications(Resource):
    """The user's own notifications."""

    selector = staticmethod(selectors.visible_to)
    output = NotificationOut

    @describe("List your notifications", output=NotificationOut, many=True)
    def list(self, request: PersonRequest) -> Response:
        return self.page(self.rows())

    @describe("Mark a notification as read", output=NotificationOut)
    def mark(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(services.mark_read(notification=self.row(id), by=request.user))

    @describe("Mark all notifications as read")
    def read_all(self, request: PersonRequest) -> Response:
        services.mark_all_read(by=request.user)
        return self.done()


class PreferenceView(Conditional, ViewSet):
    """Whether the user gets e-mail."""

    @describe("Show whether you get e-mail", output=PreferenceOut)
    def retrieve(self, request: PersonRequest) -> Response:
        return Response({"by_email": selectors.wants_email(request.user)})

    @describe("Choose whether you get e-mail", input=NewPreference, output=PreferenceOut)
    def choose(self, request: PersonRequest) -> Response:
        given = checked(NewPreference, request.data)
        services.choose_email(by_email=given["by_email"], by=request.user)
        return Response(given)

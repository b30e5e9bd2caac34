"""What the user is told, and whether by e-mail too."""

from uuid import UUID

from django.db import transaction
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
    """What the user is told, and how: without e-mail at all, or some kinds not on the page or not by e-mail."""

    by_email = serializers.BooleanField()
    not_on_page = serializers.ListField(child=serializers.ChoiceField(choices=KINDS))
    not_by_email = serializers.ListField(child=serializers.ChoiceField(choices=KINDS))


class NewPreference(Input):
    """What the user wants to be told, and how; kinds that are left out stay as they are."""

    by_email = serializers.BooleanField()
    not_on_page = serializers.ListField(child=serializers.ChoiceField(choices=KINDS), required=False)
    not_by_email = serializers.ListField(child=serializers.ChoiceField(choices=KINDS), required=False)


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
    """What the user is told, and how."""

    @describe("Show what you are told, and how", output=PreferenceOut)
    def retrieve(self, request: PersonRequest) -> Response:
        return Response(PreferenceOut(selectors.preference_of(request.user)).data)

    @describe("Choose what you are told, and how", input=NewPreference, output=PreferenceOut)
    @transaction.atomic
    def choose(self, request: PersonRequest) -> Response:
        given = checked(NewPreference, request.data)
        said = services.choose_email(by_email=given.pop("by_email"), by=request.user)
        if given:
            kept = {"not_on_page": said.not_on_page, "not_by_email": said.not_by_email}
            said = services.choose_kinds(**{**kept, **given}, by=request.user)
        return Response(PreferenceOut(said).data)

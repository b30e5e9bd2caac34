"""Sites in studies, and the datasets that they offer."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response

from accounts.models import Site
from accounts.permissions import Permission, check
from portal.api.base import Input, Output, PersonRequest, Resource, describe, find
from portal.api.names import NameOut, StudyName
from portal.api.sites import Explanation, SiteOut
from studies.dictionary import selectors as dictionary
from studies.dictionary.states import DATASET
from studies.enrolment import selectors, states
from studies.enrolment.services import (
    accept_invitation,
    change_level,
    decline_invitation,
    invite_site,
    withdraw_site,
)
from studies.lifecycle import selectors as lifecycle


class EnrolmentOut(Output):
    """A site in a study."""

    id = serializers.UUIDField()
    study = StudyName()
    site = NameOut()
    state = serializers.ChoiceField(choices=states.ENROLMENT.states)
    level = serializers.ChoiceField(choices=list(states.LEVELS.items()))
    dataset = serializers.UUIDField(source="dataset_id", allow_null=True)
    invited_at = serializers.DateTimeField()
    answered_at = serializers.DateTimeField(allow_null=True)
    ready_at = serializers.DateTimeField(allow_null=True)
    withdrawn_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()


class Invitation(Input):
    """Which site is invited, and how far it would take part."""

    site = serializers.UUIDField()
    level = serializers.ChoiceField(choices=list(states.OFFERED_LEVELS), default=states.DEFAULT_LEVEL)


class TakingPart(Input):
    """How far the site takes part; as it was proposed when left out."""

    level = serializers.ChoiceField(choices=list(states.OFFERED_LEVELS), required=False)


class Nothing(Input):
    """No fields."""


class LevelChoice(Input):
    """How far the site takes part from now on."""

    level = serializers.ChoiceField(choices=list(states.LEVELS.items()))


class DatasetOut(Output):
    """What a site offers: facts and bands, never rows."""

    id = serializers.UUIDField()
    site = NameOut()
    node = serializers.UUIDField(source="node_id")
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=DATASET.states)
    fingerprint = serializers.CharField()
    format = serializers.CharField()
    rows_band = serializers.CharField()
    columns = serializers.ListField(child=serializers.CharField())
    report = serializers.DictField()
    dictionary = serializers.UUIDField(source="dictionary_id")
    registered_at = serializers.DateTimeField()
    checked_at = serializers.DateTimeField()


class StudyEnrolments(Resource):
    """The sites of one study."""

    selector = staticmethod(lifecycle.visible_to)
    output = EnrolmentOut
    ordering = ("invited_at", "id")

    @describe("List the study's enrolments", output=EnrolmentOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        rows = selectors.visible_to(request.user).filter(study=self.row(id))
        return self.page(rows.select_related("study", "site"))

    @describe("Invite a site", input=Invitation, output=EnrolmentOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        study, given = self.row(id), self.read(Invitation)
        site = find(Site.objects.all(), given["site"])
        enrolment = invite_site(study=study, site=site, level=given["level"], by=request.user)
        return self.answer(enrolment, status=201)


class InvitableSites(Resource):
    """The sites that could still be invited; who may invite sees all names."""

    selector = staticmethod(lifecycle.visible_to)
    output = SiteOut
    ordering = ("name", "id")

    @describe("List the sites that could be invited", output=SiteOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        study = self.row(id)
        check(request.user, Permission.STUDY_INVITE, study)
        return self.page(selectors.invitable_sites(study))


class Enrolments(Resource):
    """Enrolments that the user may see."""

    selector = staticmethod(selectors.visible_to)
    output = EnrolmentOut
    ordering = ("-invited_at", "id")

    def rows(self) -> Any:
        return super().rows().select_related("study", "site")

    @describe("List the enrolments", output=EnrolmentOut, many=True)
    def list(self, request: PersonRequest) -> Response:
        return self.page(self.rows())

    @describe("Show an enrolment", output=EnrolmentOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(self.row(id))

    @describe("Take part", input=TakingPart, output=EnrolmentOut)
    def accept(self, request: PersonRequest, id: UUID) -> Response:
        given = self.read(TakingPart)
        return self.answer(accept_invitation(enrolment=self.row(id), **given, by=request.user))

    @describe("Take part at another level", input=LevelChoice, output=EnrolmentOut)
    def level(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(change_level(enrolment=self.row(id), **self.read(LevelChoice), by=request.user))

    @describe("Do not take part", input=Explanation, output=EnrolmentOut)
    def decline(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(decline_invitation(enrolment=self.row(id), **self.read(Explanation), by=request.user))

    @describe("Take part no more", input=Explanation, output=EnrolmentOut)
    def withdraw(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(withdraw_site(enrolment=self.row(id), **self.read(Explanation), by=request.user))


class StudyDatasets(Resource):
    """The datasets of one study."""

    selector = staticmethod(lifecycle.visible_to)
    output = DatasetOut
    ordering = ("-registered_at", "id")

    @describe("List the study's datasets", output=DatasetOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        rows = dictionary.datasets_visible_to(request.user).filter(study=self.row(id))
        return self.page(rows.select_related("site"))

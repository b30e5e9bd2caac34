"""Studies: their words, their states, their protocol and data dictionary."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from accounts.permissions import Permission, check
from fedstudy_core.errors import NotFound
from portal.api.base import Input, Output, PersonRequest, Resource, describe
from portal.api.names import NameOut, StudyName
from portal.downloads import file_response
from studies.dictionary.selectors import current_dictionary
from studies.dictionary.services import publish_dictionary
from studies.enrolment.selectors import invitable_sites
from studies.enrolment.setup import STEPS, invite_first_sites, steps_of
from studies.enrolment.states import DEFAULT_LEVEL, OFFERED_LEVELS
from studies.lifecycle import selectors, states
from studies.lifecycle.models import ProtocolVersion
from studies.lifecycle.services import add_protocol, create_study, edit_study, move_study


class StudyOut(Output):
    """A study."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    slug = serializers.SlugField()
    summary = serializers.CharField()
    aims = serializers.CharField()
    state = serializers.ChoiceField(choices=states.STUDY.states)
    state_since = serializers.DateTimeField()
    created_by = NameOut()
    created_at = serializers.DateTimeField()


class NewStudy(Input):
    """A study to be; whoever makes it becomes its principal investigator."""

    title = serializers.CharField(max_length=200)
    summary = serializers.CharField(max_length=5_000, allow_blank=True, default="")
    aims = serializers.CharField(max_length=20_000, allow_blank=True, default="")


class StudyChange(Input):
    """What changes; the rest stays."""

    title = serializers.CharField(max_length=200, required=False)
    summary = serializers.CharField(max_length=5_000, allow_blank=True, required=False)
    aims = serializers.CharField(max_length=20_000, allow_blank=True, required=False)


class Transition(Input):
    """The state that is to follow."""

    to = serializers.ChoiceField(choices=states.STUDY.states)


class ProtocolOut(Output):
    """One version of the protocol document."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    filename = serializers.CharField()
    sha256 = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes")
    created_at = serializers.DateTimeField()


class NewProtocol(Input):
    """A new version of the protocol document."""

    file = serializers.FileField(
        max_length=200, help_text="PDF, DOCX without macros, ODT, or text in UTF-8; by its content, not its name"
    )


class DictionaryOut(Output):
    """One version of the data dictionary."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    sha256 = serializers.CharField()
    variables = serializers.ListField(child=serializers.DictField())
    created_at = serializers.DateTimeField()


class NewDictionary(Input):
    """A new version of the data dictionary; every variable has at least `name` and `type`."""

    variables = serializers.ListField(child=serializers.DictField(), max_length=2000)


class StepOut(Output):
    """A part of a study's set-up."""

    name = serializers.ChoiceField(choices=STEPS)
    is_done = serializers.BooleanField()
    is_needed = serializers.BooleanField(help_text="No site can take part without it; sites expect to read the others")
    detail = serializers.CharField(help_text="What there is, or what is missing")


class SetUpOut(Output):
    """How far a study is set up, and the steps that lack something."""

    steps = StepOut(many=True)
    missing = serializers.ListField(child=serializers.ChoiceField(choices=STEPS))


class FirstSites(Input):
    """The sites to ask first, and how far they would take part."""

    sites = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=500)
    level = serializers.ChoiceField(choices=list(OFFERED_LEVELS), default=DEFAULT_LEVEL)


class Studies(Resource):
    """Studies that the user takes part in."""

    selector = staticmethod(selectors.visible_to)
    output = StudyOut

    def rows(self) -> Any:
        return super().rows().select_related("created_by")

    @describe("List the studies", output=StudyOut, many=True)
    def list(self, request: PersonRequest) -> Response:
        return self.page(self.rows())

    @describe("Make a study", input=NewStudy, output=StudyOut, status=201)
    def create(self, request: PersonRequest) -> Response:
        return self.answer(create_study(**self.read(NewStudy), by=request.user), status=201)

    @describe("Show a study", output=StudyOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(self.row(id))

    @describe("Change a study's words", input=StudyChange, output=StudyOut)
    def change(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(edit_study(study=self.row(id), **self.read(StudyChange), by=request.user))

    @describe("Move a study to its next state", input=Transition, output=StudyOut)
    def transition(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(move_study(study=self.row(id), **self.read(Transition), by=request.user))


class SetUps(Resource):
    """How far studies are set up."""

    selector = staticmethod(selectors.visible_to)
    output = SetUpOut

    @describe("Show how far a study is set up", output=SetUpOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        study = self.row(id)
        check(request.user, Permission.STUDY_EDIT, study)
        steps = steps_of(study)
        return self.answer({"steps": steps, "missing": [step.name for step in steps if not step.is_done]})

    @describe("Open recruitment and invite the first sites, all or none", input=FirstSites, output=SetUpOut)
    def open(self, request: PersonRequest, id: UUID) -> Response:
        study, given = self.row(id), self.read(FirstSites)
        check(request.user, Permission.STUDY_INVITE, study)
        chosen = list(dict.fromkeys(given["sites"]))
        found = invitable_sites(study).in_bulk(chosen)
        if len(found) != len(chosen):
            raise NotFound("E_NOT_FOUND", "One of these sites does not exist, or takes part already.")
        sites = [found[site] for site in chosen]
        invite_first_sites(study=study, sites=sites, level=given["level"], by=request.user)
        return self.retrieve(request, id)


class StudiesWithoutInvestigator(Resource):
    """Studies that nobody leads who can sign in, by id and title alone."""

    selector = staticmethod(selectors.without_investigator)
    output = StudyName

    @describe("List the studies that need a principal investigator", output=StudyName, many=True)
    def list(self, request: PersonRequest) -> Response:
        check(request.user, Permission.INVESTIGATOR_APPOINT)
        return self.page(self.rows())


class Protocols(Resource):
    """The protocol document of a study."""

    selector = staticmethod(selectors.visible_to)
    output = ProtocolOut
    parser_classes = (MultiPartParser,)

    @describe("Show the newest protocol version", output=ProtocolOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(self._newest(id))

    @describe("Fetch the newest protocol version", output=bytes)
    def file(self, request: PersonRequest, id: UUID) -> HttpResponse:
        protocol = self._newest(id)

        return self.fetched(protocol.sha256, lambda: file_response(protocol.filename, bytes(protocol.content)))

    def _newest(self, id: UUID) -> ProtocolVersion:
        protocol: ProtocolVersion | None = self.row(id).protocol
        if protocol is None:
            raise NotFound("E_NOT_FOUND", "This study has no protocol yet.")
        return protocol

    @describe("Upload a protocol version", input=NewProtocol, output=ProtocolOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        study, upload = self.row(id), self.read(NewProtocol)["file"]
        protocol = add_protocol(study=study, filename=upload.name, content=upload.read(), by=request.user)
        return self.answer(protocol, status=201)


class Dictionaries(Resource):
    """The data dictionary of a study."""

    selector = staticmethod(selectors.visible_to)
    output = DictionaryOut

    @describe("Show the newest data dictionary", output=DictionaryOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        newest = current_dictionary(self.row(id))
        if newest is None:
            raise NotFound("E_NOT_FOUND", "This study has no data dictionary yet.")
        return self.answer(newest)

    @describe("Publish a data dictionary", input=NewDictionary, output=DictionaryOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        published = publish_dictionary(study=self.row(id), **self.read(NewDictionary), by=request.user)
        return self.answer(published, status=201)

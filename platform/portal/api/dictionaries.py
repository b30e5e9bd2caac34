"""Data dictionaries in the making: the draft of a study, and files in which dictionaries come and go."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from accounts.permissions import Permission, check
from fedstudy_core import dictionary_csv
from fedstudy_core.dictionary_files import read_file
from fedstudy_core.errors import NotFound
from fedstudy_core.reading import CHANGED, IDENTIFIER, LEFT_OUT
from fedstudy_core.sheets import MAX_BYTES
from portal.api.base import Input, Output, PersonRequest, Resource, describe
from portal.api.names import NameOut
from portal.api.studies import DictionaryOut
from portal.downloads import file_response
from studies.dictionary.drafts import discard_draft, publish_draft, save_draft, variables_to_edit
from studies.dictionary.selectors import current_dictionary, newest_number
from studies.lifecycle import selectors


class DraftOut(Output):
    """A study's next data dictionary; revision 0 is the newest version, which nobody changed yet."""

    revision = serializers.IntegerField()
    base = serializers.IntegerField(help_text="Number of the version that it was begun from; 0 without one")
    variables = serializers.ListField(child=serializers.DictField())
    changed_by = NameOut(allow_null=True)
    changed_at = serializers.DateTimeField(allow_null=True)


class NewDraft(Input):
    """Variables in the draft's place; `revision`, where it is given, is that of the draft they were made from."""

    variables = serializers.ListField(child=serializers.DictField(), max_length=2000, allow_empty=True)
    revision = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)


class Publication(Input):
    """Which draft becomes a version: the one of this revision, and no other."""

    revision = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


class DictionaryFile(Input):
    """A data dictionary: our own table (CSV), REDCap's data dictionary (CSV), or JSON."""

    file = serializers.FileField(max_length=200, allow_empty_file=True, help_text=f"At most {MAX_BYTES // 2**20} MiB")


class NoteOut(Output):
    """Something of the file that was not carried over as it stood."""

    row = serializers.IntegerField(help_text="As spreadsheets count; the header is row 1")
    column = serializers.CharField()
    variable = serializers.CharField()
    code = serializers.ChoiceField(choices=[LEFT_OUT, CHANGED, IDENTIFIER])
    detail = serializers.CharField()


class ReadingOut(Output):
    """What a file holds: its variables, as plain values and as our own table, and what is not among them."""

    form = serializers.ChoiceField(choices=["csv", "redcap", "json"])
    variables = serializers.ListField(child=serializers.DictField())
    csv = serializers.CharField()
    notes = NoteOut(many=True)


class DictionaryReader(Resource):
    """Files of data dictionaries."""

    output = ReadingOut
    parser_classes = (MultiPartParser,)

    @describe("Read a data dictionary from a file; nothing is saved", input=DictionaryFile, output=ReadingOut)
    def read_file(self, request: PersonRequest) -> Response:
        reading = read_file(self.read(DictionaryFile)["file"].read())
        dictionary = reading.dictionary
        facts: dict[str, Any] = {"form": reading.form, "csv": dictionary_csv.write(dictionary), "notes": reading.notes}
        return self.answer({**facts, "variables": dictionary.model_dump(mode="json")["variables"]})


class DictionaryDrafts(Resource):
    """The next data dictionary of a study."""

    selector = staticmethod(selectors.visible_to)
    output = DraftOut

    def row(self, id: UUID) -> Any:
        """The study; whoever writes no dictionaries sees no drafts."""
        study = super().row(id)
        check(self.request.user, Permission.DICTIONARY_PUBLISH, study)
        return study

    @describe("Show the draft of the data dictionary", output=DraftOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        study = self.row(id)
        variables, draft = variables_to_edit(study)
        if draft is not None:
            return self.answer(draft)
        unchanged = {"revision": 0, "base": newest_number(study), "changed_by": None, "changed_at": None}
        return self.answer({**unchanged, "variables": variables})

    @describe("Save the draft of the data dictionary", input=NewDraft, output=DraftOut)
    def save(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(save_draft(study=self.row(id), **self.read(NewDraft), by=request.user))

    @describe("Discard the draft of the data dictionary")
    def remove(self, request: PersonRequest, id: UUID) -> Response:
        discard_draft(study=self.row(id), by=request.user)
        return self.done()

    @describe("Publish the draft of the data dictionary", input=Publication, output=DictionaryOut, status=201)
    def publish(self, request: PersonRequest, id: UUID) -> Response:
        published = publish_draft(study=self.row(id), **self.read(Publication), by=request.user)
        return self.answer(published, DictionaryOut, status=201)


class DictionaryFiles(Resource):
    """The newest data dictionary of a study as a file."""

    selector = staticmethod(selectors.visible_to)

    @describe("Fetch the newest data dictionary as CSV", output=bytes, media_type="text/csv")
    def table(self, request: PersonRequest, id: UUID) -> HttpResponse:
        newest = current_dictionary(self.row(id))
        if newest is None:
            raise NotFound("E_NOT_FOUND", "This study has no data dictionary yet.")
        table = dictionary_csv.write(newest.parsed)
        return file_response(f"dictionary-v{newest.number}.csv", table, "text/csv; charset=utf-8")

"""Scripts, their versions with every file in them, and the sites' approvals."""

import base64
import json
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from accounts.permissions import Permission, check
from federation.library.catalogue import ReadyScript, ready_scripts
from fedstudy_core import bundle
from fedstudy_core.parameters import from_project
from portal.api.base import Flag, Input, Output, PersonRequest, Resource, describe
from portal.api.formats import StrictJSONParser
from portal.api.names import NameOut, StudyName
from portal.api.reviews import FindingOut
from portal.bundles import bundle_of_library, bundle_of_upload
from portal.downloads import file_response
from studies.lifecycle import selectors as lifecycle
from studies.scripts import selectors, states
from studies.scripts.models import ScriptVersion
from studies.scripts.services import create_script, submit_version, withdraw_version


class LibraryOut(Output):
    """A ready script."""

    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    version = serializers.CharField()
    parameters = serializers.ListField(child=serializers.DictField())
    dictionary = serializers.DictField(allow_null=True, help_text="The data dictionary that its data follows")


class ScriptOut(Output):
    """A script, through all of its versions."""

    id = serializers.UUIDField()
    study = StudyName()
    name = serializers.CharField()
    created_by = NameOut()
    created_at = serializers.DateTimeField()


class NewScript(Input):
    """A script to be."""

    name = serializers.CharField(max_length=120)


class VersionOut(Output):
    """One immutable version, named by the SHA-256 of its bundle."""

    id = serializers.UUIDField()
    script = NameOut()
    study = StudyName(source="script.study")
    number = serializers.IntegerField()
    sha256 = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes")
    state = serializers.ChoiceField(choices=states.VERSION.states)
    files = serializers.ListField(child=serializers.DictField())
    parameters = serializers.ListField(child=serializers.DictField())
    default_config = serializers.DictField()
    declaration = serializers.DictField()
    server = serializers.SerializerMethodField(
        help_text="Who leads the rounds: strategy, or own: the script's ServerApp"
    )
    findings = FindingOut(many=True)
    replaces = serializers.UUIDField(
        source="replaces_id", allow_null=True, help_text="The version whose approvals end as sites sign this one"
    )
    submitted_at = serializers.DateTimeField()
    created_by = NameOut()

    def get_server(self, version: ScriptVersion) -> str:
        return str(version.declaration.get("server", "strategy"))


class SubmittedOut(VersionOut):
    """A version right after it was submitted."""

    dropped = serializers.ListField(
        child=serializers.CharField(), help_text="Files of the sources that Flower leaves out of a bundle"
    )


class NewVersion(Input):
    """Either `bundle` (a FAB, or a zip of sources; multipart) or `library` (the name of a ready script)."""

    bundle = serializers.FileField(required=False, allow_empty_file=True)
    library = serializers.CharField(max_length=80, required=False)
    replaces_previous = Flag(default=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("bundle" in attrs) == ("library" in attrs):
            raise serializers.ValidationError("Give either “bundle” or “library”.")
        return attrs


class FilePath(Input):
    """Which file of the bundle."""

    path = serializers.CharField(max_length=400, trim_whitespace=False)


class FileOut(Output):
    """One file of the bundle; text as it is, anything else in base64."""

    path = serializers.CharField()
    encoding = serializers.ChoiceField(choices=["utf-8", "base64"])
    content = serializers.CharField()


class ApprovalOut(Output):
    """A site's signed statement. `envelope` is, in base64 and byte for byte, what the site signed."""

    id = serializers.UUIDField()
    version = serializers.UUIDField(source="version_id")
    site = NameOut()
    node = serializers.UUIDField(source="node_id")
    dataset = serializers.UUIDField(source="dataset_id")
    decision = serializers.ChoiceField(choices=states.DECISIONS)
    state = serializers.ChoiceField(choices=states.APPROVAL.states)
    statement_id = serializers.CharField()
    statement = serializers.DictField()
    envelope = serializers.SerializerMethodField()
    approver_name = serializers.CharField()
    approver_role = serializers.CharField()
    key_id = serializers.CharField()
    signed_at = serializers.DateTimeField(help_text="When the site wrote the statement, by its own clock")
    not_before = serializers.DateTimeField()
    not_after = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoked_reason = serializers.CharField()

    def get_envelope(self, approval: Any) -> str:
        """The signed envelope in base64."""
        return base64.b64encode(bytes(approval.envelope)).decode("ascii")


class Library(Resource):
    """The ready scripts of the portal."""

    output = LibraryOut

    @describe("List the ready scripts", output=LibraryOut, many=True)
    def list(self, request: PersonRequest) -> Response:
        return Response({"results": [_ready(script) for script in ready_scripts()], "next": None})


class StudyScripts(Resource):
    """The scripts of one study."""

    selector = staticmethod(lifecycle.visible_to)
    output = ScriptOut
    ordering = ("name", "id")

    @describe("List the study's scripts", output=ScriptOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        rows = selectors.scripts_visible_to(request.user).filter(study=self.row(id))
        return self.page(rows.select_related("study", "created_by"))

    @describe("Make a script", input=NewScript, output=ScriptOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        script = create_script(study=self.row(id), **self.read(NewScript), by=request.user)
        return self.answer(script, status=201)


class ScriptVersions(Resource):
    """The versions of one script."""

    selector = staticmethod(selectors.scripts_visible_to)
    output = VersionOut
    ordering = ("-number", "id")
    parser_classes = (MultiPartParser, StrictJSONParser)

    @describe("List the script's versions", output=VersionOut, many=True)
    def list(self, request: PersonRequest, id: UUID) -> Response:
        return self.page(_light(selectors.versions_visible_to(request.user)).filter(script=self.row(id)))

    @describe("Submit a version", input=NewVersion, output=SubmittedOut, status=201)
    def create(self, request: PersonRequest, id: UUID) -> Response:
        script, given = self.row(id), self.read(NewVersion)
        check(request.user, Permission.SCRIPT_SUBMIT, script.study)
        built = bundle_of_library(given["library"]) if "library" in given else bundle_of_upload(given["bundle"])
        replaces = given["replaces_previous"]
        version = submit_version(script=script, bundle=built.content, replaces_previous=replaces, by=request.user)
        return Response({**VersionOut(version).data, "dropped": list(built.left_out)}, status=201)


class Versions(Resource):
    """Versions that the user may see."""

    selector = staticmethod(selectors.versions_visible_to)
    output = VersionOut

    def rows(self) -> QuerySet[ScriptVersion]:
        return _light(super().rows())

    @describe("Show a version", output=VersionOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(self.row(id))

    @describe("Take a version back", output=VersionOut)
    def withdraw(self, request: PersonRequest, id: UUID) -> Response:
        return self.answer(withdraw_version(version=self.row(id), by=request.user))

    @describe("Show one file of the bundle", output=FileOut, parameters=[FilePath])
    def file(self, request: PersonRequest, id: UUID) -> Response:
        version, path = self.row(id), self.query(FilePath)["path"]
        content = bundle.read_file(bytes(version.bundle), path)
        return self.answer(as_text(path, content), FileOut)

    @describe("Fetch the bundle", output=bytes)
    def fab(self, request: PersonRequest, id: UUID) -> HttpResponse:
        version = self.row(id)
        return self.fetched(version.sha256, lambda: bundle_response(version))

    @describe("List the approvals", output=ApprovalOut, many=True)
    def approvals(self, request: PersonRequest, id: UUID) -> Response:
        rows = selectors.approvals_visible_to(request.user).filter(version=self.row(id))
        return self.page(rows.select_related("site"), ApprovalOut, ordering=("-recorded_at", "id"))


def bundle_response(version: ScriptVersion) -> HttpResponse:
    """The bundle as a file."""
    response = file_response(f"{version.sha256[:16]}.fab", bytes(version.bundle))
    response.headers["ETag"] = f'"{version.sha256}"'
    return response


def _ready(script: ReadyScript) -> dict[str, Any]:
    return {
        "name": script.name,
        "title": script.title,
        "description": script.description,
        "version": script.version,
        "parameters": [parameter.model_dump(mode="json") for parameter in from_project(script.project)],
        "dictionary": None if script.dictionary is None else json.loads(script.dictionary),
    }


def _light(versions: QuerySet[ScriptVersion]) -> QuerySet[ScriptVersion]:
    """With all that an answer shows, and without the bundles: those may have megabytes each."""
    return versions.select_related("script__study", "created_by").defer("bundle")


def as_text(path: str, content: bytes) -> dict[str, str]:
    """A file as `FileOut` has it."""
    try:
        return {"path": path, "encoding": "utf-8", "content": content.decode("utf-8")}
    except UnicodeDecodeError:
        return {"path": path, "encoding": "base64", "content": base64.b64encode(content).decode("ascii")}

"""Scripts, their versions, and the sites' approvals."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

from fedstudy_client.listing import Records
from fedstudy_client.records import Approval, LibraryScript, Script, Version
from fedstudy_client.resources.base import Ref, Resource, id_of

SKIPPED = {"__pycache__", ".git", ".venv"}


class Scripts(Resource):
    """Scripts of studies, and the library of ready ones."""

    def library(self) -> Records[LibraryScript]:
        """The ready scripts of the portal."""
        return Records(LibraryScript.read(row) for row in self._http.each("library"))

    def list(self, study: Ref) -> Records[Script]:
        """The study's scripts."""
        return Records(Script.read(row) for row in self._http.each(f"studies/{id_of(study)}/scripts"))

    def create(self, study: Ref, *, name: str) -> Script:
        """Make a script; its versions come next."""
        return Script.read(self._http.post(f"studies/{id_of(study)}/scripts", {"name": name}))


class Versions(Resource):
    """Versions of scripts."""

    def list(self, script: Ref) -> Records[Version]:
        """The script's versions, newest first."""
        return Records(Version.read(row) for row in self._http.each(f"scripts/{id_of(script)}/versions"))

    def get(self, version: Ref) -> Version:
        """One version."""
        return Version.read(self._http.get(f"script-versions/{id_of(version)}"))

    def from_library(self, script: Ref, name: str, *, replaces_previous: bool = True) -> Version:
        """Submit a ready script of the library; `replaces_previous` as for `upload`."""
        body = {"library": name, "replaces_previous": replaces_previous}
        return Version.read(self._http.post(f"scripts/{id_of(script)}/versions", body))

    def upload(self, script: Ref, source: Path | str | bytes, *, replaces_previous: bool = True) -> Version:
        """Submit a bundle (a .fab file or its bytes), or a folder with a Flower app's sources.

        With `replaces_previous` a site's approval of the version before ends when the site signs this one.
        """
        if isinstance(source, bytes):
            name, content = "bundle.fab", source
        else:
            path = Path(source)
            name, content = path.name, _zipped(path) if path.is_dir() else path.read_bytes()
        flag = str(replaces_previous).lower()
        where = f"scripts/{id_of(script)}/versions"
        return Version.read(self._http.upload(where, "bundle", name, content, replaces_previous=flag))

    def withdraw(self, version: Ref) -> Version:
        """Take a version back: no new run may use it."""
        return Version.read(self._http.post(f"script-versions/{id_of(version)}/withdraw"))

    def bundle(self, version: Ref) -> bytes:
        """The bundle (FAB) itself."""
        return self._http.download(f"script-versions/{id_of(version)}/bundle")

    def file(self, version: Ref, path: str) -> bytes:
        """One file of the bundle."""
        answer = self._http.get(f"script-versions/{id_of(version)}/files", path=path)
        if answer["encoding"] == "base64":
            return base64.b64decode(answer["content"])
        return str(answer["content"]).encode()


class Approvals(Resource):
    """The sites' signed statements about versions."""

    def list(self, version: Ref) -> Records[Approval]:
        """The statements about a version."""
        return Records(Approval.read(row) for row in self._http.each(f"script-versions/{id_of(version)}/approvals"))


def _zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not SKIPPED & set(path.relative_to(folder).parts):
                archive.writestr(path.relative_to(folder).as_posix(), path.read_bytes())
    return buffer.getvalue()

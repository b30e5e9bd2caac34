"""The bundle that somebody asks for: one of the library's, an uploaded one, or one built from uploaded sources."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from federation.library.catalogue import ready_script
from fedstudy_core import bundle
from fedstudy_core.archives import read_archive
from fedstudy_core.errors import NotFound, Refusal
from fedstudy_core.reviewable import refuse_unreviewable


@dataclass(frozen=True)
class Built:
    """A bundle, and the files of its sources that Flower left out of it."""

    content: bytes
    left_out: tuple[str, ...] = ()


def bundle_of_library(name: str) -> Built:
    """Build a ready script. Raises NotFound."""
    try:
        script = ready_script(name)
    except KeyError as error:
        raise NotFound("E_NOT_FOUND", f"The library has no script “{name}”.") from error
    return Built(bundle.build(script.source))


def bundle_of_upload(upload: UploadedFile) -> Built:
    """Take a bundle as it is, or build one from a zip of sources that people can read. Raises Refusal E_BUNDLE_*."""
    if (upload.size or 0) > min(settings.FEDSTUDY_MAX_UPLOAD, bundle.MAX_BYTES):
        raise Refusal("E_BUNDLE_TOO_LARGE", status=413)
    content = upload.read()
    if bundle.MANIFEST in read_archive(content):
        return Built(content)
    sources = bundle.source_from_zip(content)
    for path, data in sources.items():
        refuse_unreviewable(path, data)
    built = bundle.build(sources)
    return Built(built, tuple(bundle.dropped_files(sources, built)))

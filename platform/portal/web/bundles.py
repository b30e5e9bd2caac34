"""The bundle that a form names: one of the library's, an uploaded one, or one built from uploaded sources."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from federation.library.catalogue import ready_script
from fedstudy_core import bundle
from fedstudy_core.archives import read_archive
from fedstudy_core.errors import Refusal


@dataclass(frozen=True)
class Built:
    """A bundle, and the files of its sources that Flower left out of it."""

    content: bytes
    left_out: tuple[str, ...] = ()


def bundle_of_library(name: str) -> Built:
    """Build a ready script; its name comes from the form's choices."""
    return Built(bundle.build(ready_script(name).source))


def bundle_of_upload(upload: UploadedFile) -> Built:
    """Take a bundle as it is, or build one from a zip of sources. Raises Refusal."""
    if (upload.size or 0) > min(settings.FEDSTUDY_MAX_UPLOAD, bundle.MAX_BYTES):
        raise Refusal("E_BUNDLE_TOO_LARGE")
    content = upload.read()
    if bundle.MANIFEST in read_archive(content):
        return Built(content)
    sources = bundle.source_from_zip(content)
    built = bundle.build(sources)
    return Built(built, tuple(bundle.dropped_files(sources, built)))

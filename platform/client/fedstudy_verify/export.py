"""The files of an export: a folder, or the zip file that the portal gave."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

CHECKPOINT, EARLIER, KEYS, LOG, MANIFEST = "checkpoint", "earlier.jsonl", "keys.json", "log.jsonl", "manifest.json"
ENVELOPES = "envelopes.jsonl"
BEFORE_ENVELOPES, WITH_ENVELOPES = "fedstudy-log-1", "fedstudy-log-2"  # the forms of an export
_SMALL = 64 << 20
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What reading a damaged or encrypted zip file raises.
DAMAGED = (OSError, EOFError, ValueError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error)


class Missing(Exception):
    """There is no export here, or not all of it."""


class Export(Protocol):
    """Where the files of an export are."""

    def open(self, name: str) -> IO[bytes]: ...


class Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self, name: str) -> IO[bytes]:
        try:
            return (self._path / name).open("rb")
        except OSError as error:
            raise Missing(f"{name} is not there") from error


class Archive:
    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise Missing(f"there is no {path}")
        try:
            self._zip = zipfile.ZipFile(path)
        except DAMAGED as error:
            raise Missing("this is no export") from error

    def open(self, name: str) -> IO[bytes]:
        try:
            if self._zip.getinfo(name).compress_type not in PACKED:
                raise Missing(f"{name} is packed in a way that the portal does not use")
            return self._zip.open(name)
        except KeyError as error:
            raise Missing(f"{name} is not there") from error
        except DAMAGED as error:
            raise Missing(f"{name} is damaged") from error


def opened(path: Path) -> Export:
    """Raises Missing."""
    return Folder(path) if path.is_dir() else Archive(path)


def content(export: Export, name: str) -> bytes:
    """A small file, whole. Raises Missing."""
    with export.open(name) as file:
        try:
            data = file.read(_SMALL + 1)
        except DAMAGED as error:
            raise Missing(f"{name} is damaged") from error
    if len(data) > _SMALL:
        raise Missing(f"{name} is too large")
    return data


def lines(export: Export, name: str) -> Iterator[bytes]:
    """A file's lines, however long it is. Raises Missing."""
    with export.open(name) as file:
        try:
            yield from file
        except DAMAGED as error:
            raise Missing(f"{name} is damaged") from error

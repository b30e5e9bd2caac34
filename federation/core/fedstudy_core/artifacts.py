"""Model parameters as files: safetensors bytes, named by their SHA-256."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from fedstudy_core.canonical import digest
from fedstudy_core.errors import Refusal


def encode_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as safetensors bytes; the same arrays give the same bytes. The order of the names is kept.

    Raises:
        Refusal: E_ARTIFACT when an array holds something other than plain real numbers.
    """
    contiguous = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}
    try:
        return safetensors.numpy.save(contiguous, metadata={"order": json.dumps(list(arrays))})
    except SafetensorError as error:
        raise Refusal("E_ARTIFACT", "The parameters are not plain numbers.") from error


def decode_arrays(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of safetensors bytes, in the order in which they were encoded.

    Raises:
        Refusal: E_ARTIFACT when the bytes are not safetensors.
    """
    try:
        arrays = safetensors.numpy.load(data)
        names = _order(data)
        if names is None:
            return arrays
        if len(names) != len(arrays):
            raise ValueError("the order names other arrays than there are")
        return {name: arrays[name] for name in names}
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refusal("E_ARTIFACT", "The file does not hold parameters in safetensors form.") from error


def _order(data: bytes) -> dict[str, None] | None:
    """The names in the order in which they were encoded, each once; None in files that others wrote."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    names = header.get("__metadata__", {}).get("order")
    return None if names is None else dict.fromkeys(json.loads(names))


class ArtifactStore:
    """Files by content: written beside, synced, renamed, and verified when read."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _path(self, sha256: str) -> Path:
        if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
            raise Refusal("E_ARTIFACT", "An artifact is named by 64 hexadecimal digits.")
        return self._root / sha256[:2] / sha256

    def put(self, data: bytes, *, durable: bool = True) -> str:
        """Keep the bytes; answer their SHA-256. With `durable` they are on disk when this returns."""
        sha256 = digest(data)
        path = self._path(sha256)
        if self._is_sound(path, sha256):
            return sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            Path(temporary).replace(path)
            if durable:
                _sync_folder(path.parent)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return sha256

    def _is_sound(self, path: Path, sha256: str) -> bool:
        """Whether the file is there whole: one that a crash or a disk damaged is written again."""
        return path.exists() and digest(path.read_bytes()) == sha256

    def get(self, sha256: str) -> bytes:
        """The bytes of that SHA-256.

        Raises:
            Refusal: E_ARTIFACT_MISSING, or E_ARTIFACT when the file was altered.
        """
        try:
            data = self._path(sha256).read_bytes()
        except FileNotFoundError as error:
            raise Refusal("E_ARTIFACT_MISSING") from error
        if digest(data) != sha256:
            raise Refusal("E_ARTIFACT", "The file is not what it was when it was written.")
        return data

    def exists(self, sha256: str) -> bool:
        return self._path(sha256).exists()

    def delete(self, sha256: str) -> None:
        self._path(sha256).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

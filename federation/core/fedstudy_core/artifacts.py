"""Model parameters as files: safetensors bytes, named by their SHA-256."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from fedstudy_core.canonical import digest
from fedstudy_core.errors import Refusal
from fedstudy_core.spool import Mapped, let_go

# Safetensors' names of the number types, in the order in which its own library lays arrays out.
_TYPES = {
    "uint64": "U64", "int64": "I64", "float64": "F64", "float32": "F32", "uint32": "U32",
    "int32": "I32", "float16": "F16", "uint16": "U16", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
_PART = 8 * 1024 * 1024
_NAMES = {short: name for name, short in _TYPES.items()}
_PLACES = {name: place for place, name in enumerate(_TYPES)}


def encode_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as safetensors bytes; the same arrays give the same bytes. The order of the names is kept.

    Raises:
        Refusal: E_ARTIFACT when an array holds something other than plain real numbers.
    """
    return b"".join(pieces_of(arrays))


def pieces_of(arrays: Mapping[str, np.ndarray]) -> list[bytes | memoryview]:
    """What `encode_arrays` joins: a head, and the arrays' own memory. To hash or write these copies nothing.

    The bytes are those that safetensors' own library writes. Raises Refusal E_ARTIFACT as `encode_arrays`.
    """
    if any(array.dtype.name not in _TYPES for array in arrays.values()):
        raise Refusal("E_ARTIFACT", "The parameters are not plain numbers.")
    laid = sorted(arrays, key=lambda name: (_PLACES[arrays[name].dtype.name], name.encode()))
    head: dict[str, object] = {"__metadata__": {"order": json.dumps(list(arrays))}}
    at, data = 0, []
    for name in laid:
        array = np.ascontiguousarray(arrays[name], arrays[name].dtype.newbyteorder("<"))
        kind, shape = _TYPES[array.dtype.name], list(arrays[name].shape)
        head[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + array.nbytes]}
        data.append(array.reshape(-1).view(np.uint8).data)
        at += array.nbytes
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little") + text, *data]


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


def _views(data: memoryview) -> dict[str, np.ndarray]:
    """What `decode_arrays` answers for bytes of `encode_arrays`, without a copy."""
    try:
        begin = 8 + int.from_bytes(data[:8], "little")
        head = json.loads(bytes(data[8:begin]))
        names = json.loads(head.pop("__metadata__")["order"])
        arrays = {name: _view(data[begin:], **head[name]) for name in names}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refusal("E_ARTIFACT", "The file does not hold parameters in safetensors form.") from error
    if len(arrays) != len(head):
        raise Refusal("E_ARTIFACT", "The file holds other parameters than it names.")
    return arrays


def _view(data: memoryview, dtype: str, shape: list[int], data_offsets: list[int]) -> np.ndarray:
    kind = np.dtype(_NAMES[dtype]).newbyteorder("<")
    return np.frombuffer(data[slice(*data_offsets)], kind).reshape(shape)


class ArtifactStore:
    """Files by content: written beside, synced, renamed, and verified when read."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _path(self, sha256: str) -> Path:
        if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
            raise Refusal("E_ARTIFACT", "An artifact is named by 64 hexadecimal digits.")
        return self._root / sha256[:2] / sha256

    def put(self, data: bytes | Sequence[bytes | memoryview], *, durable: bool = True, sha256: str = "") -> str:
        """Keep bytes, whole or in pieces; answer their SHA-256. With `durable` they are on disk when this returns.

        Args:
            sha256: theirs, where the caller has just computed it.
        """
        pieces = [data] if isinstance(data, bytes) else data
        sha256 = sha256 or digest_of(pieces)
        path = self._path(sha256)
        if self._is_sound(path, sha256):
            return sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                for piece in pieces:
                    file.write(piece)
                    let_go(piece)
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

    def adopt(self, path: Path, sha256: str) -> str:
        """Take over a file of the same disk that is synced and has this SHA-256; answer that."""
        place = self._path(sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
        _sync_folder(place.parent)
        return sha256

    def _is_sound(self, path: Path, sha256: str) -> bool:
        """Whether the file is there whole: one that a crash or a disk damaged is written again."""
        if not path.exists():
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256

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

    def arrays(self, sha256: str, *, verify: bool = True) -> dict[str, np.ndarray]:
        """The arrays of a file that was encoded here, as read-only views of it; `verify` as for `map`.

        Raises:
            Refusal: E_ARTIFACT_MISSING, or E_ARTIFACT when it does not hold such.
        """
        return _views(memoryview(self.map(sha256, verify=verify)))

    def map(self, sha256: str, *, verify: bool = True) -> Mapped:
        """The file's bytes, read as they are looked at. `verify` may be left out for what this process wrote itself.

        Raises:
            Refusal: E_ARTIFACT_MISSING, or E_ARTIFACT when the file was altered.
        """
        path = self._path(sha256)
        if verify and path.exists() and not self._is_sound(path, sha256):
            raise Refusal("E_ARTIFACT", "The file is not what it was when it was written.")
        try:
            with path.open("rb") as file:
                return Mapped(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError as error:
            raise Refusal("E_ARTIFACT_MISSING") from error

    def size(self, sha256: str) -> int:
        """Bytes of that file. Raises Refusal E_ARTIFACT_MISSING."""
        try:
            return self._path(sha256).stat().st_size
        except FileNotFoundError as error:
            raise Refusal("E_ARTIFACT_MISSING") from error

    def exists(self, sha256: str) -> bool:
        return self._path(sha256).exists()

    def delete(self, sha256: str) -> None:
        self._path(sha256).unlink(missing_ok=True)


def digest_of(pieces: Iterable[bytes | memoryview]) -> str:
    """The SHA-256 of the pieces one after the other; of those that lie in files only a part is in memory at a time."""
    running = hashlib.sha256()
    for piece in pieces:
        view = memoryview(piece)
        for begin in range(0, len(view), _PART):
            running.update(view[begin : begin + _PART])
            let_go(view)
    return running.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

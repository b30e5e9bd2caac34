"""Where the SuperLink keeps the objects of large messages: in files, so that its memory does not grow with models.

Flower's own stores hold every object in memory, or as rows of SQLite, which takes twice the time and keeps its size.
What is here is gone when the SuperLink ends, as with Flower's store in memory: files are a place, not a record. Its
group may read them, so that a worker on the same machine need not ask for them.
"""

from __future__ import annotations

import os
from pathlib import Path

from flwr.supercore.inflatable.inflatable_object import get_object_id
from flwr.supercore.inflatable.inflatable_utils import validate_object_content
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.object_store.in_memory_object_store import InMemoryObjectStore
from flwr.supercore.object_store.object_store import NoObjectInStoreError, ObjectStore

SMALL = 64 * 1024


class FileObjectStore(InMemoryObjectStore):
    """Flower's store in memory, but for the content of objects of `SMALL` bytes and more.

    Args:
        folder: a folder for this store alone; whatever lies in it is deleted.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._in_files: set[str] = set()
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        for left in folder.iterdir():
            left.unlink()

    def put(self, object_id: str, object_content: bytes) -> None:
        """Keep an object that was announced. Raises ValueError when its content is not what its id names."""
        if len(object_content) < SMALL:
            super().put(object_id, object_content)
            return
        if get_object_id(object_content) != object_id:
            raise ValueError(f"Object ID {object_id} does not match content hash")
        validate_object_content(content=object_content)
        if object_id not in self:
            raise NoObjectInStoreError(f"Object with ID '{object_id}' was not pre-registered.")
        self._write(object_id, object_content)
        with self.lock_store:
            entry = self.store.get(object_id)
            if entry is None:  # deleted while it was written
                self._path(object_id).unlink(missing_ok=True)
                raise NoObjectInStoreError(f"Object with ID '{object_id}' was not pre-registered.")
            entry.is_available = True
            self._in_files.add(object_id)

    def get(self, object_id: str) -> bytes | None:
        """The object; empty while it is announced only, None when it is not known."""
        if object_id not in self._in_files:
            return super().get(object_id)
        try:
            return self._path(object_id).read_bytes()
        except FileNotFoundError:  # deleted since
            return None

    def delete(self, object_id: str) -> None:
        """Delete an object that nothing refers to, and what only it referred to."""
        with self.lock_store:
            super().delete(object_id)
            if object_id in self._in_files and object_id not in self.store:
                self._in_files.discard(object_id)
                self._path(object_id).unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete everything."""
        with self.lock_store:
            super().clear()
            for object_id in self._in_files:
                self._path(object_id).unlink(missing_ok=True)
            self._in_files.clear()

    def _path(self, object_id: str) -> Path:
        return self._folder / object_id

    def _write(self, object_id: str, content: bytes) -> None:
        """Write beside and rename, so that nobody reads a part."""
        partial = self._folder / f"{object_id}.{os.urandom(4).hex()}"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "wb", buffering=0) as file:
            file.write(content)
        partial.replace(self._path(object_id))


class FileObjectStoreFactory(ObjectStoreFactory):
    """Makes one `FileObjectStore` in a folder, whatever database the state of runs is kept in."""

    def __init__(self, database: str, folder: Path) -> None:
        super().__init__(database)
        self._folder = folder

    def store(self) -> ObjectStore:
        """The store, made when it is first asked for."""
        with self._store_lock:
            if self.store_instance is None:
                self.store_instance = FileObjectStore(self._folder)
            return self.store_instance

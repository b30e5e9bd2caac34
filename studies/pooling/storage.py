"""Where pooled objects lie: as they came, encrypted, under the portal's data folder."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from fedstudy_core.freight import Arrival, Shelf
from studies.pooling.models import PooledObject

_ONE = "0"  # an object is one file


def shelf() -> Shelf:
    """The shelf of pooled objects, each in a folder of its own."""
    return Shelf(Path(settings.FEDSTUDY_DATA_DIR) / "pool")


def names() -> list[str]:
    """The ids of the objects of which something lies here."""
    folder = Path(settings.FEDSTUDY_DATA_DIR) / "pool"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def expect(item: PooledObject) -> None:
    """Take the bytes of an object from now on."""
    shelf().expect(str(item.pk), _ONE)


def arriving(item: PooledObject) -> Arrival:
    """What has come of an object. Raises NotFound when it is not expected."""
    return shelf().arriving(str(item.pk), _ONE)


def file_of(item: PooledObject) -> Path:
    """The file of an object that has come whole. Raises Refusal E_ARTIFACT_MISSING."""
    return shelf().arrived(str(item.pk), _ONE, item.sha256)


def remove(item: PooledObject) -> None:
    """Delete what there is of an object; nothing more is taken."""
    shelf().close(str(item.pk))

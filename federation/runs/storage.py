"""Where parameters lie: content-addressed files under the portal's data folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings

from federation.runs.models import Run
from fedstudy_core.artifacts import ArtifactStore
from fedstudy_core.freight import Shelf


def model_store() -> ArtifactStore:
    """The parameters of committed rounds."""
    return ArtifactStore(Path(settings.FEDSTUDY_DATA_DIR) / "models")


def state_store(run: Run) -> ArtifactStore:
    """What the run's strategy keeps from round to round."""
    return ArtifactStore(Path(settings.FEDSTUDY_DATA_DIR) / "states" / str(run.pk))


def file_store() -> ArtifactStore:
    """What scripts' own ServerApps left."""
    return ArtifactStore(Path(settings.FEDSTUDY_DATA_DIR) / "files")


def server_app_folder(run: Run) -> Path:
    """Where a run's own ServerApp works while it runs; what it prints lies beside it, in a file."""
    return Path(settings.FEDSTUDY_DATA_DIR) / "serverapps" / str(run.pk)


def server_app_log(run: Run) -> Path:
    """What a run's own ServerApp printed."""
    folder = server_app_folder(run)
    return folder.parent / f"{folder.name}.log"


def forget_updates(run: Run) -> None:
    """Delete whatever is left of the sites' answers once the run is over."""
    shutil.rmtree(_updates(run), ignore_errors=True)
    shelf().close(str(run.pk))


def shelf() -> Shelf:
    """What is on its way between the portal and nodes, beside messages."""
    return Shelf(Path(settings.FEDSTUDY_DATA_DIR) / "freight")


def _updates(run: Run) -> Path:
    return Path(settings.FEDSTUDY_DATA_DIR) / "updates" / str(run.pk)


def update_store(run: Run) -> ArtifactStore:
    """A run's answers until their round is committed; they are deleted then."""
    return ArtifactStore(_updates(run))

"""What the engine's tests share: a scene and the simulated SuperLink that its worker meets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from federation.runs import engine
from tests.runs import scene as scenes
from tests.runs.scene import Scene
from tests.runs.simulation import Site, SuperLink


@pytest.fixture(autouse=True)
def data_folder(settings: Any, tmp_path: Path) -> None:
    settings.FEDSTUDY_DATA_DIR = tmp_path


@pytest.fixture
def rehearse(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Scene, SuperLink]]:
    def build(**wishes: Any) -> tuple[Scene, SuperLink]:
        scene = scenes.build(**wishes)
        link = SuperLink({node_id: Site(node_id, key) for node_id, key in scene.keys.items()})
        monkeypatch.setattr(engine, "superlink", lambda: link)
        return scene, link

    return build

"""A Flower app's folder as the portal would take it: its bundle, what it declares, and what reviewers will be shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fedstudy_client.problem import FedStudyProblem
from fedstudy_core import bundle
from fedstudy_core.analysis import Finding, analyse
from fedstudy_core.archives import read_archive
from fedstudy_core.errors import Refusal
from fedstudy_core.reviewable import refuse_unreviewable


@dataclass(frozen=True)
class Built:
    """A bundle (FAB), what it holds, and the files of its folder that Flower left out."""

    content: bytes
    bundle: bundle.Bundle
    dropped: tuple[str, ...]

    @property
    def findings(self) -> list[Finding]:
        """What reviewers should look at first, the riskiest before the others."""
        return analyse(read_archive(self.content))


def build(folder: Path) -> Built:
    """Build and check a Flower app's folder, or check a .fab file. Raises FedStudyProblem (E_BUNDLE_*)."""
    try:
        if folder.is_file():
            content = folder.read_bytes()
            return Built(content, bundle.inspect(content), ())
        sources = bundle.source_files(folder)
        for path, data in sources.items():
            refuse_unreviewable(path, data)
        content = bundle.build(sources)
        return Built(content, bundle.inspect(content), tuple(bundle.dropped_files(sources, content)))
    except Refusal as error:
        raise FedStudyProblem(error.code, error.detail) from error

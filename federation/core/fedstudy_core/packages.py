"""The packages that a script declares, seen from where one of its two apps is to run: which of them this Python lacks.

A script declares one list of dependencies for both apps. Each side needs those that its own app imports; what only the
other side imports may be absent. Nothing of the script is run or imported.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib import invalidate_caches, metadata
from importlib.util import find_spec
from types import MappingProxyType
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from fedstudy_core.analysis.modules import STANDARD, plain
from fedstudy_core.analysis.project import PROJECT, imports_of, reached_from, read_project, top_modules
from fedstudy_core.analysis.reading import read_sources
from fedstudy_core.archives import read_archive
from fedstudy_core.errors import Refusal

Side = Literal["client", "server"]

# Distributions whose module has another name, in the form of `plain`.
_MODULES: Mapping[str, str] = MappingProxyType(
    {
        "opencv_python": "cv2",
        "opencv_python_headless": "cv2",
        "pillow": "PIL",
        "pyyaml": "yaml",
        "scikit_image": "skimage",
        "scikit_learn": "sklearn",
        "scikit_survival": "sksurv",
        "xgboost_cpu": "xgboost",
    }
)
_LOWER = (">=", ">", "~=")


def refuse_without_packages(fab: bytes, side: Side, where: str) -> None:
    """Refuse a script (E_DEPENDENCY) whose app cannot be imported here for want of a package that it declares.

    Args:
        where: what lacks it, as people call it ("This node").

    Raises:
        Refusal: E_DEPENDENCY; those of `read_archive`.
    """
    lacking = missing_packages(fab, side)
    if lacking:
        raise Refusal("E_DEPENDENCY", f"{where} does not have what the script needs: {', '.join(lacking)}.")


def missing_packages(fab: bytes, side: Side) -> tuple[str, ...]:
    """The dependencies, as declared, that one side's app imports and that this Python lacks or has too old.

    Upper bounds and exact versions are not held against anybody: scripts name those that they were written with. Raises
    the refusals of `read_archive`.
    """
    contents = read_archive(fab)
    project = read_project(contents.get(PROJECT, b""))
    trees, _ = read_sources({path: content for path, content in contents.items() if path.endswith(".py")})
    app = project.client if side == "client" else project.server
    imported = _foreign(reached_from(app, trees), trees)
    invalidate_caches()
    return tuple(text for text in project.dependencies if _is_missing(text, imported))


def _foreign(paths: frozenset[str], trees: Mapping[str, ast.Module]) -> Mapping[str, str]:
    """The modules of others that some files import, by their names in the form of `plain`."""
    own = top_modules(list(trees))
    names = {name.partition(".")[0] for path in paths for name in imports_of(path, trees[path])}
    return {plain(name): name for name in names if name and name not in own and name not in STANDARD}


def _is_missing(text: str, imported: Mapping[str, str]) -> bool:
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        return False  # the analysis says so to those who review
    if wanted.marker is not None and not wanted.marker.evaluate():
        return False
    module = imported.get(plain(_MODULES.get(plain(wanted.name), wanted.name)))
    return module is not None and (find_spec(module) is None or _is_older(wanted, module))


def _is_older(wanted: Requirement, module: str) -> bool:
    """Whether the distribution that gives the module is older than the declared lower bounds."""
    bounds = [Version(bound.version) for bound in wanted.specifier if bound.operator in _LOWER]
    if not bounds:
        return False
    try:
        return Version(_version_of(wanted.name, module)) < max(bounds)
    except (metadata.PackageNotFoundError, InvalidVersion):
        return False  # it is there, and does not say how old it is


def _version_of(name: str, module: str) -> str:
    """The version of a distribution, or of the one that gives its module in its place (xgboost-cpu for xgboost)."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return metadata.version(next(iter(metadata.packages_distributions().get(module, [name]))))

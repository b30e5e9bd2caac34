"""Script bundles: Flower apps as one zip file (FAB), inspected before anything trusts them.

Inspection only reads; nothing of a bundle is executed or imported. Hashes are always of the bytes at hand.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fedstudy_core import archives
from fedstudy_core.archives import read_archive
from fedstudy_core.canonical import digest
from fedstudy_core.errors import Invalid, Refusal
from fedstudy_core.metrics import LISTS, REPLICATES_OF, replicates_contradiction
from fedstudy_core.outputs import DeclaredOutputs
from fedstudy_core.parameters import Parameter, Value, from_project
from fedstudy_core.reviewable import refuse_unreviewable
from fedstudy_core.statement import Server
from fedstudy_core.subgroups import BINS, Subgroups, all_names, contradiction

MAX_BYTES = archives.MAX_BYTES
PROJECT = "pyproject.toml"
MANIFEST = ".info/CONTENT"
_LEFT_BY_MACHINES = ("__MACOSX/", ".git/", ".venv/")
_LEFT_IN_FOLDERS = {"__pycache__", ".git", ".venv"}


MetricName = Annotated[str, Field(max_length=80)]
NamedMetric = Annotated[str, Field(min_length=1, max_length=80)]  # as statements name them
MetricKind = Literal["mean", "sum", "histogram", "max", "min", "replicates", "identity"]
Pattern = Annotated[str, Field(min_length=1, max_length=120)]


class Declaration(BaseModel):
    """What a script tells FedStudy about itself (`[tool.fedstudy]`).

    Attributes:
        server: who leads the rounds: "strategy", one of the portal's, or "own", the bundle's ServerApp as it is. An app
            without a `[tool.fedstudy]` table is an ordinary Flower app and brings its own.
        initial: message type by which one site gives the initial model, such as "query.initial_model".
        sums: message type by which every site gives arrays that are added up and sent to all.
        metrics: how a metric aggregates over sites; the mean weighted by examples where nothing is said. Bootstrap
            replicates of another metric, and the number that says of which rows they are, do not.
        headline: the metric that pages show first.
        uses_proximal: the script adds FedProx's term when it gets `proximal-mu`.
        step_sum: the metric with the sum of the step sizes, from a script that corrects its steps as SCAFFOLD asks.
        train_loss: the metric with the training loss, for strategies that weigh by it.
        local_layers: patterns of the arrays that stay at a site where a strategy says so (`local-layers`).
        model: "trees" where the model is a booster, which cannot be averaged.
        outputs: the arrays and histograms that the script sends back, where it says so.
        subgroups: by what the script counts scores apart; these counts are among the metrics and the histograms.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: Server = "strategy"
    initial: str | None = Field(default=None, pattern=r"^query\.[a-z][a-z0-9_]*$")
    sums: str | None = Field(default=None, pattern=r"^query\.[a-z][a-z0-9_]*$")
    metrics: dict[NamedMetric, MetricKind] = Field(default_factory=dict)
    headline: str = ""
    uses_proximal: bool = False
    step_sum: MetricName = ""
    train_loss: MetricName = ""
    local_layers: Annotated[list[Pattern], Field(max_length=100)] = Field(default_factory=list)
    model: Literal["arrays", "trees"] = "arrays"
    outputs: DeclaredOutputs = Field(default_factory=DeclaredOutputs)
    subgroups: Subgroups = ()

    @model_validator(mode="after")
    def _count_subgroups(self) -> Self:
        for name in all_names(self.subgroups):
            self.metrics.setdefault(name, "histogram")
            self.outputs.bins.setdefault(name, BINS)
        return self

    def may_stay_local(self, name: str) -> bool:
        """Whether an array of that name is one of the local layers."""
        return any(fnmatchcase(name, pattern) for pattern in self.local_layers)


@dataclass(frozen=True)
class BundleFile:
    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds, as read from its bytes."""

    sha256: str
    size: int
    name: str
    version: str
    publisher: str
    description: str
    files: tuple[BundleFile, ...]
    parameters: tuple[Parameter, ...]
    declaration: Declaration
    dependencies: tuple[str, ...]
    default_config: dict[str, Value] = field(default_factory=dict)


def inspect(fab: bytes) -> Bundle:
    """Read and check a bundle.

    Raises:
        Refusal: E_BUNDLE_TOO_LARGE, E_BUNDLE_NOT_ZIP, E_BUNDLE_PATH, E_BUNDLE_PICKLE, E_BUNDLE_BINARY,
            E_BUNDLE_DECEPTIVE, E_BUNDLE_SYNTAX, E_BUNDLE_NOT_FLOWER, E_BUNDLE_DECLARATION.
    """
    contents = read_archive(fab)
    for path, data in contents.items():
        refuse_unreviewable(path, data)
    _check_manifest(contents)
    project = _project(contents)
    about = project["project"]
    parameters, declaration = _declared(project)
    return Bundle(
        sha256=digest(fab),
        size=len(fab),
        name=about["name"],
        version=about["version"],
        publisher=project["tool"]["flwr"]["app"]["publisher"],
        description=about.get("description", ""),
        files=tuple(BundleFile(path, digest(data), len(data)) for path, data in contents.items()),
        parameters=parameters,
        declaration=declaration,
        dependencies=tuple(about.get("dependencies", ())),
        default_config={parameter.name: parameter.default for parameter in parameters},
    )


def _declared(project: Mapping[str, Any]) -> tuple[tuple[Parameter, ...], Declaration]:
    """What the script says of its configuration and of itself. Raises Refusal E_BUNDLE_DECLARATION."""
    declared = project["tool"].get("fedstudy", {"server": "own"})
    if not isinstance(declared, dict):
        raise _not_declared("[tool.fedstudy] is not a table.")
    try:
        parameters = from_project(project)
        declaration = Declaration.model_validate({name: declared[name] for name in declared if name != "parameters"})
    except Invalid as error:
        raise _not_declared(error.detail) from error
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise _not_declared(f"[tool.fedstudy] does not fit at “{where}”.") from error
    if declaration.headline and declaration.metrics and declaration.headline not in declaration.metrics:
        raise _not_declared(f"The headline “{declaration.headline}” is none of the declared metrics.")
    for name in (declaration.step_sum, declaration.train_loss):
        if name and declaration.metrics and declaration.metrics.get(name, "histogram") in LISTS:
            raise _not_declared(f"“{name}” is none of the declared metrics that are plain numbers.")
    contradicted = declaration.outputs.contradiction(sums=declaration.sums, kinds=declaration.metrics)
    if contradicted or (contradicted := _misfit(declaration)):
        raise _not_declared(contradicted)
    return parameters, declaration


def _misfit(declaration: Declaration) -> str:
    misfit = replicates_contradiction(declaration.metrics)
    if misfit:
        return misfit
    if declaration.server == "own" and REPLICATES_OF in declaration.metrics:
        return "A script with its own ServerApp cannot have replicates."
    if declaration.subgroups and declaration.server == "own":
        return "A script with its own ServerApp cannot have subgroups."
    return contradiction(declaration.subgroups, declaration.metrics, declaration.outputs.bins)


def _not_declared(detail: str) -> Refusal:
    return Refusal("E_BUNDLE_DECLARATION", detail, status=400)


def _not_flower(detail: str) -> Refusal:
    return Refusal("E_BUNDLE_NOT_FLOWER", detail, status=400)


def _check_manifest(contents: Mapping[str, bytes]) -> None:
    """Flower's list of the bundle's files, where there is one, says what the bundle holds."""
    if MANIFEST not in contents:
        return
    listed = contents[MANIFEST].decode("utf-8").split("\n")
    held = [f"{path},{digest(data)},{len(data) * 8}" for path, data in contents.items() if path != MANIFEST]
    if sorted(listed) != sorted(held):
        raise _not_flower("The bundle's own list of its files does not agree with them.")


def _project(contents: Mapping[str, bytes]) -> dict[str, Any]:
    """The parsed pyproject of a Flower app, its parts there and of the right kind."""
    if PROJECT not in contents:
        raise _not_flower("The bundle has no pyproject.toml.")
    try:
        project = tomllib.loads(contents[PROJECT].decode("utf-8"))
        about, app = project["project"], project["tool"]["flwr"]["app"]
        dependencies = about.get("dependencies", [])
        texts = [about["name"], about["version"], about.get("description", ""), app["publisher"], *dependencies]
        components = [app["components"][name] for name in ("clientapp", "serverapp")]
        sound = isinstance(dependencies, list) and all(isinstance(text, str) for text in [*texts, *components])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _not_flower("The bundle's pyproject.toml is not that of a Flower app.") from error
    if not sound or not all(texts[index].strip() for index in (0, 1, 3)):
        raise _not_flower("The bundle's pyproject.toml is not that of a Flower app.")
    if "agentapp" in app["components"]:
        raise _not_flower("An agent app cannot run in a study.")
    for component in components:
        _check_component(component, contents)
    return project


def _check_component(reference: str, contents: Mapping[str, bytes]) -> None:
    module, _, attribute = reference.partition(":")
    path = module.replace(".", "/")
    if not attribute or not {f"{path}.py", f"{path}/__init__.py"} & set(contents):
        raise _not_flower(f"“{reference}” names no module of the bundle.")


def read_file(fab: bytes, path: str) -> bytes:
    """One file of the bundle. Raises Refusal E_BUNDLE_PATH when there is none of that name."""
    contents = read_archive(fab)
    if path not in contents:
        raise Refusal("E_BUNDLE_PATH", f"There is no “{path}” in the bundle.", status=404)
    return contents[path]


def unpack(fab: bytes, into: Path) -> None:
    """Write the bundle's files into a folder that does not exist yet; files and folders are read-only then.

    Raises:
        Refusal: as `inspect`; FileExistsError when the folder is there.
    """
    contents = read_archive(fab)
    into.mkdir(parents=True, mode=0o700)
    folders = {into}
    for path, data in contents.items():
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folders.update(parent for parent in target.parents if parent.is_relative_to(into))
        with target.open("xb") as file:
            file.write(data)
        target.chmod(0o400)
    for folder in folders:
        folder.chmod(0o500)


def build(source: Path | Mapping[str, bytes]) -> bytes:
    """A bundle from a Flower app's folder or files; the same files give the same bytes.

    Raises:
        Refusal: E_BUNDLE_NOT_FLOWER with what Flower says.
    """
    import click
    from flwr.cli.build import build_fab_from_files  # heavy, and only builders need it

    try:
        return build_fab_from_files(dict(source_files(source)))[0]
    except (ValueError, KeyError, click.ClickException) as error:
        raise Refusal("E_BUNDLE_NOT_FLOWER", f"Flower cannot build this app: {error}", status=400) from error


def dropped_files(source: Path | Mapping[str, bytes], fab: bytes) -> list[str]:
    """Files of the source that are not in the bundle: Flower leaves some out without a word."""
    kept = set(read_archive(fab))
    return sorted(path for path in source_files(source) if path not in kept)


def source_files(source: Path | Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of an app by POSIX path; caches and links are left out."""
    if isinstance(source, Mapping):
        return dict(source)
    return {
        path.relative_to(source).as_posix(): path.read_bytes()
        for path in sorted(source.rglob("*"))
        if path.is_file() and not path.is_symlink() and not _LEFT_IN_FOLDERS & set(path.relative_to(source).parts)
    }


def source_from_zip(data: bytes) -> dict[str, bytes]:
    """The files of a zip of sources, a single top folder taken off. Same checks as for bundles."""
    contents = {
        path: content
        for path, content in read_archive(data, folders=True).items()
        if not path.startswith(_LEFT_BY_MACHINES) and not path.endswith(".DS_Store") and "__pycache__/" not in path
    }
    tops = {path.partition("/")[0] for path in contents}
    if PROJECT in contents or len(tops) != 1:
        return contents
    return {path.partition("/")[2]: content for path, content in contents.items() if "/" in path}

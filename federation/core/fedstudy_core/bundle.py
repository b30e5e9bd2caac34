"""Script bundles: Flower apps as one zip file (FAB), inspected before anything trusts them.

Inspection only reads; nothing of a bundle is executed or imported. Hashes are always of the bytes at hand.
"""

from __future__ import annotations

import io
import stat
import tomllib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedstudy_core.canonical import digest, is_plain_text
from fedstudy_core.errors import Invalid, Refusal
from fedstudy_core.parameters import Parameter, Value, from_project

MAX_BYTES = 10 * 1024 * 1024
MAX_UNPACKED = 64 * 1024 * 1024
MAX_FILES = 1000
MAX_RATIO = 200
PROJECT = "pyproject.toml"
PICKLED = (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".dill", ".npy", ".npz", ".ckpt", ".h5")
_PICKLE_STARTS = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))


class Declaration(BaseModel):
    """What a script tells FedStudy about itself (`[tool.fedstudy]`).

    Attributes:
        initial: message type by which one site gives the initial model, such as "query.initial_model".
        sums: message type by which every site gives arrays that are added up and sent to all.
        metrics: how a metric aggregates over sites; the mean weighted by examples where nothing is said.
        headline: the metric that pages show first.
        uses_proximal: the script adds FedProx's term when it gets `proximal-mu`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    initial: str | None = Field(default=None, pattern=r"^query\.[a-z][a-z0-9_]*$")
    sums: str | None = Field(default=None, pattern=r"^query\.[a-z][a-z0-9_]*$")
    metrics: dict[str, Literal["mean", "sum", "histogram", "max", "min"]] = Field(default_factory=dict)
    headline: str = ""
    uses_proximal: bool = False


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
        Refusal: E_BUNDLE_TOO_LARGE, E_BUNDLE_NOT_ZIP, E_BUNDLE_PATH, E_BUNDLE_PICKLE, E_BUNDLE_NOT_FLOWER,
            E_BUNDLE_DECLARATION.
    """
    if len(fab) > MAX_BYTES:
        raise Refusal(
            "E_BUNDLE_TOO_LARGE",
            f"The bundle has {len(fab)} bytes; at most {MAX_BYTES} are taken.",
            status=413,
        )
    contents = _contents(fab)
    for path, data in contents.items():
        _refuse_pickle(path, data)
    project = _project(contents)
    app = project["tool"]["flwr"]["app"]
    try:
        parameters = from_project(project)
        declaration = Declaration.model_validate(_declared(project))
    except Invalid as error:
        raise Refusal("E_BUNDLE_DECLARATION", error.detail, status=400) from error
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise Refusal("E_BUNDLE_DECLARATION", f"[tool.fedstudy] does not fit at “{where}”.", status=400) from error
    return Bundle(
        sha256=digest(fab),
        size=len(fab),
        name=project["project"]["name"],
        version=str(project["project"].get("version", "")),
        publisher=str(app.get("publisher", "")),
        description=str(project["project"].get("description", "")),
        files=tuple(BundleFile(path, digest(data), len(data)) for path, data in contents.items()),
        parameters=parameters,
        declaration=declaration,
        dependencies=tuple(map(str, project["project"].get("dependencies", []))),
        default_config={parameter.name: parameter.default for parameter in parameters},
    )


def _declared(project: Mapping[str, Any]) -> dict[str, Any]:
    declared = dict(project["tool"].get("fedstudy", {}))
    declared.pop("parameters", None)
    return declared


def _contents(fab: bytes) -> dict[str, bytes]:
    """Every file of the zip by its path; refuses what a careful reader would not unpack."""
    try:
        with zipfile.ZipFile(io.BytesIO(fab)) as archive:
            entries = archive.infolist()
            _refuse_bad_layout(fab, entries)
            contents = {}
            for entry in entries:
                with archive.open(entry) as file:
                    contents[entry.filename] = file.read(entry.file_size + 1)
                if len(contents[entry.filename]) != entry.file_size:
                    raise Refusal(
                        "E_BUNDLE_NOT_ZIP",
                        f"“{entry.filename}” is not as long as the bundle says.",
                        status=400,
                    )
            return contents
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        UnicodeDecodeError,
        RuntimeError,
    ) as error:
        raise Refusal("E_BUNDLE_NOT_ZIP", "The bundle is not a sound zip file.", status=400) from error


def _refuse_bad_layout(fab: bytes, entries: list[zipfile.ZipInfo]) -> None:
    if not fab.startswith(b"PK\x03\x04"):
        raise Refusal("E_BUNDLE_NOT_ZIP", "Something stands before the zip file's content.", status=400)
    if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        raise Refusal("E_BUNDLE_TOO_LARGE", "The bundle unpacks to too much.", status=413)
    seen: set[str] = set()
    end = 0
    for entry in sorted(entries, key=lambda item: item.header_offset):
        _refuse_bad_entry(entry)
        folded = entry.filename.casefold()
        if folded in seen:
            raise Refusal("E_BUNDLE_PATH", f"“{entry.filename}” is in the bundle twice.", status=400)
        seen.add(folded)
        if entry.header_offset < end:
            raise Refusal("E_BUNDLE_PATH", "Files of the bundle overlap.", status=400)
        end = entry.header_offset + 30 + len(entry.filename.encode()) + entry.compress_size


def _refuse_bad_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    parts = PurePosixPath(name).parts
    mode = entry.external_attr >> 16
    problem = ""
    if (
        not is_plain_text(name)
        or "\n" in name
        or "\t" in name
        or "\\" in name
        or ":" in name
        or entry.orig_filename != name
    ):
        problem = "has a name that could deceive a reader"
    elif name.startswith("/") or ".." in parts or str(PurePosixPath(name)) != name or not parts:
        problem = "would be unpacked outside its folder"
    elif entry.is_dir() or (mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode)):
        problem = "is not a plain file"
    elif mode & (stat.S_ISUID | stat.S_ISGID):
        problem = "asks for another user's rights"
    elif entry.flag_bits & 0x1:
        problem = "is encrypted"
    elif entry.file_size > MAX_RATIO * max(entry.compress_size, 512):
        problem = "unpacks to far more than it is"
    if problem:
        raise Refusal("E_BUNDLE_PATH", f"“{name[:80]!a}” {problem}.", status=400)


def _refuse_pickle(path: str, data: bytes) -> None:
    if path.lower().endswith(PICKLED) or data.startswith(_PICKLE_STARTS):
        raise Refusal(
            "E_BUNDLE_PICKLE",
            f"“{path}” can hold code that runs when it is read; use safetensors.",
            status=400,
        )


def _project(contents: Mapping[str, bytes]) -> dict[str, Any]:
    """The parsed pyproject of a Flower app with a client part."""
    if PROJECT not in contents:
        raise Refusal("E_BUNDLE_NOT_FLOWER", "The bundle has no pyproject.toml.", status=400)
    try:
        project = tomllib.loads(contents[PROJECT].decode("utf-8"))
        component = project["tool"]["flwr"]["app"]["components"]["clientapp"]
        module = component.split(":")[0].replace(".", "/")
        name = project["project"]["name"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal(
            "E_BUNDLE_NOT_FLOWER", "The bundle's pyproject.toml is not that of a Flower app.", status=400
        ) from error
    if not isinstance(name, str) or not {f"{module}.py", f"{module}/__init__.py"} & set(contents):
        raise Refusal("E_BUNDLE_NOT_FLOWER", f"The client app's module “{module}.py” is not in the bundle.", status=400)
    return project


def read_file(fab: bytes, path: str) -> bytes:
    """One file of the bundle. Raises Refusal E_BUNDLE_PATH when there is none of that name."""
    contents = _contents(fab)
    if path not in contents:
        raise Refusal("E_BUNDLE_PATH", f"There is no “{path}” in the bundle.", status=404)
    return contents[path]


def unpack(fab: bytes, into: Path) -> None:
    """Write the bundle's files, read-only, into a folder that does not exist yet."""
    contents = _contents(fab)
    into.mkdir(parents=True, mode=0o700)
    for path, data in contents.items():
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.write_bytes(data)
        target.chmod(0o400)


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
    kept = set(_contents(fab))
    return sorted(path for path in source_files(source) if path not in kept)


def source_files(source: Path | Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of an app by POSIX path, caches left out."""
    if isinstance(source, Mapping):
        return dict(source)
    return {
        path.relative_to(source).as_posix(): path.read_bytes()
        for path in sorted(source.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def source_from_zip(data: bytes) -> dict[str, bytes]:
    """The files of a zip of sources, a single top folder taken off. Same checks as for bundles."""
    if len(data) > MAX_BYTES:
        raise Refusal("E_BUNDLE_TOO_LARGE", status=413)
    contents = _contents(data)
    tops = {path.split("/", 1)[0] for path in contents}
    if PROJECT not in contents and len(tops) == 1:
        return {path.split("/", 1)[1]: content for path, content in contents.items()}
    return contents

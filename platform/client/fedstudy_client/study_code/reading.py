"""Reading a study's file: YAML, checked against the model and in itself; what is wrong is told with file and line."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from fedstudy_client.problem import FedStudyProblem, FieldProblem
from fedstudy_client.study_code.model import VARIABLES, PlannedRun, ScriptSource, StudyFile, Variable

STUDY_FILE, DICTIONARY = "E_STUDY_FILE", "E_DICTIONARY"
MAX_BYTES = 4 * 1024 * 1024
Place = tuple[str | int, ...]
Read = TypeVar("Read")
_STUDY: TypeAdapter[StudyFile] = TypeAdapter(StudyFile)


@dataclass(frozen=True)
class StudyCode:
    """A study's file, read.

    Attributes:
        variables: the data dictionary as plain values; None where the file has none.
        protocol: the protocol's name and content.
        bundles: .fab file or folder of the scripts that are not of the library, by script name.
    """

    file: Path
    described: StudyFile
    variables: list[dict[str, Any]] | None = None
    protocol: tuple[str, bytes] | None = None
    bundles: Mapping[str, Path] = field(default_factory=dict)

    def sites_of(self, run: PlannedRun) -> list[str]:
        """The names of the sites that take part in a run."""
        return [site.name for site in self.described.sites] if run.sites is None else list(run.sites)


@dataclass(frozen=True)
class _Document:
    """A YAML file's value, and the line of each of its places."""

    path: Path
    value: Any
    lines: Mapping[Place, int]

    def problem(self, place: Sequence[str | int], detail: str, code: str = STUDY_FILE) -> FieldProblem:
        """What is wrong at a place, named by file, line and path."""
        known = tuple(place)
        while known and known not in self.lines:
            known = known[:-1]
        where = f"{self.path}:{self.lines.get(known, 1)}"
        return FieldProblem(f"{where}: {written(place)}" if place else where, code, detail)


def read_study(path: Path) -> StudyCode:
    """Read a study's file and the files that it names.

    Raises:
        FedStudyProblem: E_FILE for one that cannot be read; E_STUDY_FILE or E_DICTIONARY with file, line and path of
            each wrong field.
    """
    document = _load(path, STUDY_FILE)
    described = _validated(_STUDY, document, STUDY_FILE)
    problems = [document.problem(place, detail) for place, detail in _contradictions(described)]
    if problems:
        raise _wrong(path, STUDY_FILE, problems)
    return StudyCode(
        file=path,
        described=described,
        variables=_variables(document, described),
        protocol=_protocol(document, described),
        bundles=dict(_bundles(document, described)),
    )


def read_dictionary(path: Path) -> list[Variable]:
    """Read a data dictionary: JSON or YAML, a list of variables or an object with `variables`.

    Raises:
        FedStudyProblem: E_FILE, E_DICTIONARY.
    """
    if path.suffix == ".csv":
        detail = f"{path} is a table. Make JSON of it first: fedstudy dictionary convert {path} -o {path.stem}.json"
        raise FedStudyProblem(DICTIONARY, detail)
    document = _load(path, DICTIONARY)
    if isinstance(document.value, dict) and set(document.value) == {"variables"}:
        lines = {place[1:]: line for place, line in document.lines.items() if place[:1] == ("variables",)}
        document = _Document(path, document.value["variables"], lines)
    return _validated(VARIABLES, document, DICTIONARY)


def plain_variables(variables: Sequence[Variable]) -> list[dict[str, Any]]:
    """Variables as plain JSON values, every field there and texts in Unicode's form C, as the portal keeps them."""
    text = json.dumps([variable.model_dump(mode="json") for variable in variables], ensure_ascii=False)
    plain: list[dict[str, Any]] = json.loads(unicodedata.normalize("NFC", text))
    return plain


def written(place: Sequence[str | int]) -> str:
    """A place as people write it: runs[0].config.seed."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def _load(path: Path, code: str) -> _Document:
    try:
        content = path.read_bytes()
        if len(content) > MAX_BYTES:
            raise FedStudyProblem("E_FILE", f"{path} is larger than {MAX_BYTES // 2**20} MiB.")
        text = content.decode("utf-8-sig")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except OSError as error:
        raise FedStudyProblem("E_FILE", f"{path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise _not_yaml(path, error, code) from error
    lines: dict[Place, int] = {}
    doubled: list[FieldProblem] = []
    for place, line, problem in _walk(node, (), set()):
        lines.setdefault(place, line)
        if problem:
            doubled.append(_Document(path, value, {place: line}).problem(place, problem, code))
    if doubled:
        raise _wrong(path, code, doubled)
    return _Document(path, value, lines)


def _walk(node: yaml.Node | None, place: Place, seen: set[int]) -> Iterator[tuple[Place, int, str]]:
    """Every place of a YAML document with its line, and what is wrong with its names; anchors are followed once."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    yield place, node.start_mark.line + 1, ""
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _walk(item, (*place, number), seen)
    elif isinstance(node, yaml.MappingNode):
        names: set[str] = set()
        for key, item in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            yield (*place, name), key.start_mark.line + 1, "This name is there twice." if name in names else ""
            names.add(name)
            yield from _walk(item, (*place, name), seen)


def _validated(model: TypeAdapter[Read], document: _Document, code: str) -> Read:
    try:
        return model.validate_python(document.value)
    except ValidationError as error:
        problems = [
            document.problem(_place(item["loc"], document.value), _sentence(item["type"], item["msg"]), code)
            for item in error.errors(include_url=False)
        ]
        raise _wrong(document.path, code, problems) from error


def _place(location: Sequence[str | int], value: Any) -> Place:
    """Where in the file an error is: pydantic's location without the names of its own alternatives."""
    place: list[str | int] = []
    for number, part in enumerate(location):
        if isinstance(value, dict) and (part in value or number == len(location) - 1):
            place.append(part)
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            place.append(part)
            value = value[part]
    return tuple(place)


def _sentence(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "There is no such name; `fedstudy schema` has all of them."
    if kind == "string_pattern_mismatch":
        return "Expected letters, digits and underscores, a letter first, at most 64."
    message = message.removeprefix("Value error, ").replace("Input should be", "Expected")
    return f"{message[:1].upper()}{message[1:].rstrip('.')}."


def _contradictions(described: StudyFile) -> Iterator[tuple[Place, str]]:
    """What fits the model but not the rest of the file."""
    yield from _doubled("sites", "name", [site.name for site in described.sites])
    yield from _doubled("scripts", "name", [script.name for script in described.scripts])
    yield from _doubled("runs", "label", [run.label for run in described.runs])
    yield from _doubled("people", "email", [f"{person.email} {person.role}" for person in described.people])
    for number, script in enumerate(described.scripts):
        if (script.library is None) == (script.path is None):
            yield ("scripts", number), "Either “library” or “path” says where the script comes from."
    scripts = {script.name for script in described.scripts}
    sites = {site.name for site in described.sites}
    for number, run in enumerate(described.runs):
        yield from _contradictions_of(run, ("runs", number), scripts, sites)


def _contradictions_of(
    run: PlannedRun, place: Place, scripts: set[str], sites: set[str]
) -> Iterator[tuple[Place, str]]:
    if run.script not in scripts:
        yield (*place, "script"), f"The file has no script “{run.script}”."
    for number, name in enumerate(run.sites or ()):
        if name not in sites:
            yield (*place, "sites", number), f"The file has no site “{name}”."
    taking_part = sites if run.sites is None else set(run.sites)
    if run.sites is not None and len(taking_part) < len(run.sites):
        yield (*place, "sites"), "A site is named twice."
    for number, name in enumerate(run.validators):
        if name not in taking_part:
            yield (*place, "validators", number), f"“{name}” is not one of the run's sites."
    training = len(taking_part - set(run.validators))
    if not taking_part:
        yield place, "A run needs sites, and the file names none."
    elif not training:
        yield (*place, "validators"), "At least one of the run's sites trains."
    elif run.quorum is not None and run.quorum > training:
        yield (*place, "quorum"), f"At most {training}: so many sites train."


def _doubled(part: str, field_name: str, names: Sequence[str]) -> Iterator[tuple[Place, str]]:
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name.casefold() in seen:
            yield (part, number, field_name), f"“{name}” is there twice."
        seen.add(name.casefold())


def _variables(document: _Document, described: StudyFile) -> list[dict[str, Any]] | None:
    if described.dictionary is None:
        return None
    if isinstance(described.dictionary, str):
        return plain_variables(read_dictionary(_named(document, ("dictionary",), described.dictionary)))
    return plain_variables(described.dictionary)


def _protocol(document: _Document, described: StudyFile) -> tuple[str, bytes] | None:
    if described.study.protocol is None:
        return None
    path = _named(document, ("study", "protocol"), described.study.protocol)
    return path.name, path.read_bytes()


def _bundles(document: _Document, described: StudyFile) -> Iterator[tuple[str, Path]]:
    for number, script in enumerate(described.scripts):
        if script.path is not None:
            yield script.name, _named(document, ("scripts", number, "path"), script.path, folder=_may_be_folder(script))


def _may_be_folder(script: ScriptSource) -> bool:
    return not str(script.path).endswith(".fab")


def _named(document: _Document, place: Place, name: str, *, folder: bool = False) -> Path:
    """A file that the document names, relative to it."""
    path = document.path.parent / name
    if not (path.is_dir() if folder else path.is_file()):
        kind = "folder" if folder else "file"
        raise _wrong(document.path, STUDY_FILE, [document.problem(place, f"There is no {kind} {path}.")])
    return path


def _wrong(path: Path, code: str, problems: Sequence[FieldProblem]) -> FedStudyProblem:
    what = "a study" if code == STUDY_FILE else "variables"
    return FedStudyProblem(code, f"{path} does not describe {what} well.", errors=tuple(problems))


def _not_yaml(path: Path, error: Exception, code: str) -> FedStudyProblem:
    mark = getattr(error, "problem_mark", None)
    where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
    words = getattr(error, "problem", None) or (
        "it is nested too deeply" if isinstance(error, RecursionError) else error
    )
    return FedStudyProblem(code, f"{where} is not YAML: {words}.")

"""What a new version of a script changes against an older one, and how much a reviewer should mind it."""

from __future__ import annotations

import ast
import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Literal

from fedstudy_core import syntax
from fedstudy_core.analysis.findings import Finding, Risk
from fedstudy_core.analysis.project import PROJECT, reached_from, read_project
from fedstudy_core.analysis.reading import read_sources
from fedstudy_core.archives import read_archive
from fedstudy_core.bundle import MANIFEST, Bundle, inspect
from fedstudy_core.counts import counted
from fedstudy_core.parameters import Parameter, allowance

MUCH_CODE = 20
MOST_LINES = 20_000
_DOCUMENTS = {".md", ".rst", ".txt", ".license"}
Word = Literal["none", "low", "medium", "high"]


@dataclass(frozen=True)
class FileChange:
    """A file that differs: `added`, `removed` or `changed`, and how many lines came and went.

    Attributes:
        runs: whether a site runs it and what runs is not the same; comments and layout change nothing that runs.
    """

    path: str
    kind: Literal["added", "removed", "changed"]
    plus: int
    minus: int
    runs: bool


@dataclass(frozen=True)
class Amendment:
    """The difference between two versions, in sentences where people read it.

    Attributes:
        risk: the risk word; "none" where nothing changed that a site runs, sends or allows.
        reasons: why, the gravest first.
    """

    files: tuple[FileChange, ...]
    parameters: tuple[str, ...]
    outputs: tuple[str, ...]
    dependencies: tuple[str, ...]
    new_findings: tuple[Finding, ...]
    risk: Word
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Snapshot:
    """One version, as far as a comparison asks: its bundle, its files and the findings in them."""

    bundle: Bundle
    contents: Mapping[str, bytes]
    findings: Sequence[Finding]

    @classmethod
    def of(cls, fab: bytes, findings: Sequence[Finding]) -> Snapshot:
        """Read a bundle. Raises Refusal (E_BUNDLE_...) as `bundle.inspect` does."""
        return cls(inspect(fab), read_archive(fab), findings)

    def line(self, finding: Finding) -> str:
        """The source line of a finding, by which it is known again when lines move."""
        lines = self.contents.get(finding.path, b"").decode("utf-8", "replace").splitlines()
        return lines[finding.line - 1].strip() if finding.line <= len(lines) else ""

    def at_site(self) -> frozenset[str]:
        """The files that the client app imports."""
        sources = {path: content for path, content in self.contents.items() if path.endswith(".py")}
        return reached_from(_client(self), read_sources(sources)[0])


def compare(old: Snapshot, new: Snapshot) -> Amendment:
    """What `new` changes against `old`."""
    files = tuple(_files(old, new))
    parameters, widened = _parameters(old.bundle.parameters, new.bundle.parameters)
    outputs = tuple(_outputs(old.bundle, new.bundle))
    dependencies = tuple(_dependencies(old.bundle, new.bundle))
    found = tuple(_new_findings(old, new))
    change = Amendment(files, tuple(parameters), outputs, dependencies, found, "none", _QUIET)
    reasons = _reasons(change, widened)
    if _client(old) != _client(new):
        reasons.append(("medium", f"What sites run begins in another file: {_client(new)}."))
    if not reasons:
        return change
    reasons.sort(key=lambda reason: -_RANKS.index(reason[0]))
    return replace(change, risk=reasons[0][0], reasons=tuple(text for _, text in reasons))


_RANKS: tuple[Word, ...] = ("none", "low", "medium", "high")
_QUIET = ("Only comments, documentation or files that no site runs changed.",)


def _client(version: Snapshot) -> str:
    return read_project(version.contents.get(PROJECT, b"")).client


def _files(old: Snapshot, new: Snapshot) -> list[FileChange]:
    at_site = old.at_site() | new.at_site()
    changes: list[FileChange] = []
    for path in sorted((set(old.contents) | set(new.contents)) - {MANIFEST}):
        before, after = old.contents.get(path), new.contents.get(path)
        if before != after:
            plus, minus = line_counts(before or b"", after or b"")
            runs = _runs(path, before, after, at_site)
            kind: Literal["added", "removed", "changed"] = (
                "added" if before is None else "removed" if after is None else "changed"
            )
            changes.append(FileChange(path, kind, plus, minus, runs))
    return changes


def line_counts(before: bytes, after: bytes) -> tuple[int, int]:
    """How many lines came and how many went."""
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > MOST_LINES:
        gone, come = Counter(old), Counter(new)
        return (come - gone).total(), (gone - come).total()
    plus = minus = 0
    for tag, left, right, start, end in difflib.SequenceMatcher(None, old, new, autojunk=True).get_opcodes():
        if tag != "equal":
            minus, plus = minus + right - left, plus + end - start
    return plus, minus


def _runs(path: str, before: bytes | None, after: bytes | None, at_site: frozenset[str]) -> bool:
    """Whether the change of a file reaches what a site runs or reads."""
    suffix = PurePosixPath(path).suffix.lower()
    if path == PROJECT or suffix in _DOCUMENTS or PurePosixPath(path).name == "LICENSE":
        return False
    if suffix != ".py":
        return True
    return path in at_site and _meaning(before) != _meaning(after)


def _meaning(content: bytes | None) -> str | bytes:
    """A file without its comments and layout; its bytes where it cannot be read."""
    if content is None:
        return b""
    try:
        return ast.dump(syntax.parse(content, "<file>"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return content


def _parameters(old: Sequence[Parameter], new: Sequence[Parameter]) -> tuple[list[str], bool]:
    """Sentences about changed parameters, and whether a run may now choose what it could not choose before."""
    before, after = {item.name: item for item in old}, {item.name: item for item in new}
    said = [f"“{name}” is gone." for name in before if name not in after]
    widened = False
    for name, item in after.items():
        earlier = before.get(name)
        if earlier is None:
            said.append(f"“{name}” is new.")
            widened = True
        elif _limits(earlier) != _limits(item):
            said.append(f"“{name}” allows other values: {_words(item)}; before: {_words(earlier)}.")
            widened |= not _within(item, earlier)
        elif earlier.default != item.default:
            said.append(f"“{name}” has another default: {item.default}; before: {earlier.default}.")
        elif (earlier.description, earlier.unit) != (item.description, item.unit):
            said.append(f"“{name}” is described in other words.")
    return said, widened


def _limits(item: Parameter) -> tuple[Any, ...]:
    return item.type, item.min, item.max, item.choices


def _within(new: Parameter, old: Parameter) -> bool:
    """Whether everything that the new limits allow was allowed before."""
    if new.type != old.type:
        return False
    if new.choices is not None:
        return all(allowance(old).permits(choice) for choice in new.choices)
    if old.choices is not None:
        return False
    low = old.min is None or (new.min is not None and new.min >= old.min)
    return low and (old.max is None or (new.max is not None and new.max <= old.max))


def _words(item: Parameter) -> str:
    if item.choices is not None:
        return ", ".join(map(str, item.choices))
    low = "anything" if item.min is None else f"{item.min:g}"
    return f"{low} to {'anything' if item.max is None else f'{item.max:g}'}"


def _outputs(old: Bundle, new: Bundle) -> list[str]:
    """Sentences about what leaves a site, as far as the script declares it."""
    before, after = old.declaration, new.declaration
    said = [f"The metric “{name}” is new." for name in after.metrics if name not in before.metrics]
    said += [f"The metric “{name}” is gone." for name in before.metrics if name not in after.metrics]
    said += [
        f"The metric “{name}” is combined in another way: {kind}; before: {before.metrics[name]}."
        for name, kind in after.metrics.items()
        if name in before.metrics and before.metrics[name] != kind
    ]
    if before.model != after.model:
        said.append(f"The model is made of {after.model}; before: {before.model}.")
    said += [
        f"The layers “{name}” may stay at the site." for name in after.local_layers if name not in before.local_layers
    ]
    said += [
        f"The layers “{name}” always leave the site now."
        for name in before.local_layers
        if name not in after.local_layers
    ]
    for label, earlier, later in (
        ("The initial model comes", before.initial, after.initial),
        ("Sums come", before.sums, after.sums),
    ):
        if earlier != later:
            said.append(f"{label} from {later or 'no message'}; before: {earlier or 'no message'}.")
    return said


def _dependencies(old: Bundle, new: Bundle) -> list[str]:
    said = [f"Depends on {name} now." for name in new.dependencies if name not in old.dependencies]
    return said + [f"Depends on {name} no longer." for name in old.dependencies if name not in new.dependencies]


def _new_findings(old: Snapshot, new: Snapshot) -> list[Finding]:
    """Findings that the old version did not have: told apart by rule, file and the text of the line."""
    known = Counter((item.rule, item.path, old.line(item), item.risk) for item in old.findings)
    found: list[Finding] = []
    for item in new.findings:
        key = (item.rule, item.path, new.line(item), item.risk)
        if known[key]:
            known[key] -= 1
        else:
            found.append(item)
    return found


def _reasons(change: Amendment, widened: bool) -> list[tuple[Word, str]]:
    reasons: list[tuple[Word, str]] = []
    for risk in (Risk.HIGH, Risk.MEDIUM, Risk.LOW):
        count = sum(item.risk is risk for item in change.new_findings)
        if count:
            word: Word = "high" if risk is Risk.HIGH else "medium" if risk is Risk.MEDIUM else "low"
            reasons.append((word, f"{counted(count, 'new finding')} of {risk} risk."))
    if change.outputs:
        reasons.append(("medium", "What leaves a site changed."))
    if any("no longer" not in text for text in change.dependencies):
        reasons.append(("medium", "It depends on further packages."))
    elif change.dependencies:
        reasons.append(("low", "It depends on fewer packages."))
    if widened:
        reasons.append(("medium", "A run may choose more than before."))
    elif change.parameters:
        reasons.append(("low", "Parameters changed, but a run may choose no more than before."))
    lines = sum(item.plus + item.minus for item in change.files if item.runs)
    if any(item.runs for item in change.files):
        word = "medium" if lines > MUCH_CODE else "low"
        reasons.append((word, f"{counted(lines, 'line')} of what sites run or read changed."))
    return reasons

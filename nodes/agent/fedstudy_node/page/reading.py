"""A script as the page shows it: files with highlighted source, what changed, and findings beside the lines."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

from fedstudy_core.analysis import Finding, analyse
from fedstudy_core.archives import read_archive
from fedstudy_node.comparing import changed_lines, texts

LONGEST_SHOWN = 400_000


@dataclass(frozen=True)
class ShownFile:
    """One file of a script.

    Attributes:
        anchor: what the ids of its lines begin with: line 3 of the first file is `f1-3`.
        source: highlighted and escaped; None for parameters, which are not text.
        changed: the unified diff to the version approved before; empty when nothing changed.
        is_new: the version approved before did not have it.
    """

    path: str
    size: int
    anchor: str
    source: Markup | None
    findings: tuple[Finding, ...] = ()
    changed: tuple[str, ...] = ()
    is_new: bool = False


@dataclass(frozen=True)
class Reading:
    """A whole script as it is shown. `gone` are files of the version before that this one does not have."""

    files: tuple[ShownFile, ...]
    findings: tuple[Finding, ...]
    gone: tuple[str, ...] = ()
    anchors: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many findings there are of each risk."""
        return {risk: sum(item.risk == risk for item in self.findings) for risk in ("high", "medium", "low")}

    @property
    def changed_files(self) -> list[ShownFile]:
        """The files that are not as they were approved before."""
        return [file for file in self.files if file.changed]


@lru_cache(maxsize=16)
def read(fab: bytes, before: bytes | None) -> Reading:
    """Return a script as it is shown, beside the version that was approved before."""
    contents = read_archive(fab)
    findings = tuple(analyse(contents))
    earlier = texts(before) if before is not None else None
    files = tuple(
        _show(f"f{number}", path, data, tuple(item for item in findings if item.path == path), earlier)
        for number, (path, data) in enumerate(contents.items(), 1)
    )
    gone = tuple(sorted(set(earlier or ()) - set(contents)))
    return Reading(files, findings, gone, {file.path: file.anchor for file in files})


def _show(
    anchor: str, path: str, data: bytes, findings: tuple[Finding, ...], earlier: Mapping[str, str] | None
) -> ShownFile:
    if path.endswith(".safetensors"):
        return ShownFile(path, len(data), anchor, None, findings)
    text = data.decode("utf-8", errors="replace")
    changed = () if earlier is None else tuple(changed_lines(earlier.get(path, ""), text, path))
    is_new = earlier is not None and path not in earlier
    return ShownFile(path, len(data), anchor, highlighted(path, text, anchor), findings, changed, is_new)


def highlighted(path: str, text: str, anchor: str) -> Markup:
    """Return numbered lines with an id each, as HTML with classes only. Pygments escapes the text."""
    try:
        lexer = get_lexer_for_filename(path, stripnl=False)
    except ClassNotFound:
        lexer = TextLexer(stripnl=False)
    if len(text) > LONGEST_SHOWN:
        lexer = TextLexer(stripnl=False)
    formatter = HtmlFormatter(cssclass="code", linenos="inline", lineanchors=anchor, anchorlinenos=True, wrapcode=True)
    return Markup(highlight(text, lexer, formatter))  # noqa: S704  (escaped by the formatter)

"""Source code as HTML with classes only, for pages with a strict content security policy."""

from __future__ import annotations

from functools import lru_cache

from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_noop
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

BINARY_NOTICE = gettext_noop("This file is not text; it is named here by its size and hash only.")


def as_text(content: bytes) -> str | None:
    """The file as UTF-8 text, or None where it is something else."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


@lru_cache(maxsize=64)
def highlighted_lines(path: str, text: str) -> tuple[SafeString, ...]:
    """The lines of a source, each on its own; Pygments escapes them. Those asked for last are kept."""
    try:
        lexer = get_lexer_for_filename(path, stripnl=False)
    except ClassNotFound:
        lexer = TextLexer(stripnl=False)
    html = highlight(text, lexer, HtmlFormatter(nowrap=True))
    return tuple(mark_safe(line) for line in html.removesuffix("\n").split("\n"))  # noqa: S308  (escaped by the formatter)

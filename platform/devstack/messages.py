"""The catalogues of translated texts: gathered from the sources, checked, and compiled. `make messages` runs it.

No GNU gettext is needed: Babel reads Python, and Django's own reader turns templates into what Babel reads.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

from fedstudy_core.codes import CODES
from fedstudy_core.statement import SANDBOX_WORDS
from fedstudy_node.validation import SENTENCES

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "platform" / "portal" / "locale"
LANGUAGES = ("de",)
TEMPLATES = ROOT / "templates"
CODE = tuple(
    ROOT / name
    for name in (
        "platform/accounts",
        "platform/audit",
        "platform/notifications",
        "platform/portal",
        "platform/webhooks",
        "federation/degrees",
        "federation/dossiers",
        "federation/releases",
        "federation/runs",
        "studies",
    )
)
API = ROOT / "platform" / "portal" / "api"  # whose errors no page shows
# What those who know no languages say by tables that pages translate.
CORE: dict[str, Mapping[str, str]] = {
    "federation/core/fedstudy_core/codes.py": CODES,
    "federation/core/fedstudy_core/statement.py": SANDBOX_WORDS,
    "nodes/agent/fedstudy_node/validation.py": SENTENCES,
}
# Errors say their sentences in English, to programs too; pages translate those that are fixed. Where they stand:
ERRORS = {"Conflict": 1, "Forbidden": 1, "Invalid": 1, "NotFound": 1, "Refusal": 1, "FieldProblem": 2}
KEYWORDS = {
    **DEFAULT_KEYWORDS,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
LEFT_OUT = re.compile(rb'^"(Report-Msgid-Bugs-To|Last-Translator|Language-Team|Generated-By): .*\n', re.MULTILINE)
PLACE = re.compile(r"%\(\w+\)[sd]|\{\w*\}|</?\w+")


class Text(NamedTuple):
    """A text to translate, as the sources have it; `id` is a pair where it has a plural."""

    id: str | tuple[str, ...]
    context: str | None
    file: str


def main() -> int:
    """Bring the catalogues up to date with the sources and compile them; returns 1 while they lack anything."""
    found, wrong = list(texts()), []
    for language in LANGUAGES:
        catalogue = updated(read(language), found)
        po, mo = files(language)
        po.parent.mkdir(parents=True, exist_ok=True)
        po.write_bytes(written(catalogue))
        mo.write_bytes(compiled(catalogue))
        wrong += [f"{language}: {problem}" for problem in problems(catalogue)]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def files(language: str) -> tuple[Path, Path]:
    """The catalogue of a language, and its compiled form, which Django reads."""
    folder = FOLDER / language / "LC_MESSAGES"
    return folder / "django.po", folder / "django.mo"


def texts() -> Iterator[Text]:
    """All texts that the sources mark, in the order of files."""
    for path in sorted(TEMPLATES.rglob("*.html")):
        yield from _texts_of(path, _readable(path))
    for path in sorted(path for folder in CODE for path in folder.rglob("*.py")):
        yield from _texts_of(path, path.read_bytes())
        if not path.is_relative_to(API):
            yield from _errors_of(path)
    for file, words in CORE.items():
        yield from (Text(sentence, None, file) for sentence in words.values())


def _readable(path: Path) -> bytes:
    """A template as something like Python, all its lines at the margin."""
    source = templatize(path.read_text("utf-8"), origin=str(path))
    return "\n".join(line.strip() for line in source.splitlines()).encode()


def _texts_of(path: Path, source: bytes) -> Iterator[Text]:
    for _, message, _, context in extract("python", BytesIO(source), keywords=KEYWORDS):
        yield Text(message, context, path.relative_to(ROOT).as_posix())


def _errors_of(path: Path) -> Iterator[Text]:
    """The sentences that are written out where an error is made."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        match node:
            case ast.Call(func=ast.Name(id=name), args=args) if len(args) > ERRORS.get(name, len(args)):
                said = args[ERRORS[name]]
                if isinstance(said, ast.Constant) and isinstance(said.value, str) and said.value:
                    yield Text(said.value, None, path.relative_to(ROOT).as_posix())


def read(language: str) -> Catalog:
    """The catalogue as it lies there; an empty one for a new language."""
    po, _ = files(language)
    if not po.exists():
        return Catalog(locale=language)
    with po.open("rb") as file:
        return read_po(file, locale=language)


def updated(old: Catalog, found: list[Text]) -> Catalog:
    """A catalogue of the texts found with the translations there are; what is not used any more is left out."""
    new = Catalog(
        locale=old.locale,
        project="FedStudy",
        version="1",
        header_comment="# Written by `make messages`, but for the translations.",
        creation_date=old.creation_date,
        revision_date=old.creation_date,
        fuzzy=False,
    )
    for text in found:
        known = old.get(text.id if isinstance(text.id, str) else text.id[0], text.context)
        new.add(text.id, known.string if known else None, locations=[(text.file, 0)], context=text.context)
    return new


def written(catalogue: Catalog) -> bytes:
    """The catalogue as its file."""
    out = BytesIO()
    write_po(out, catalogue, width=0, include_lineno=False)
    return LEFT_OUT.sub(b"", out.getvalue())


def compiled(catalogue: Catalog) -> bytes:
    """The catalogue as Django reads it."""
    out = BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def problems(catalogue: Catalog) -> list[str]:
    """What a translator has to do: texts without a translation, and translations with other places and tags."""
    return [line for message in catalogue if message.id for line in _problems_of(message)]


def _problems_of(message: Message) -> Iterator[str]:
    ids = [message.id] if isinstance(message.id, str) else list(message.id)
    strings = list(message.string) if isinstance(message.string, list | tuple) else [message.string or ""]
    if not all(strings):
        yield f"no translation of {ids[0]!r}"
    elif any(not _fits(string, ids) for string in strings):
        yield f"other places or tags in the translation of {ids[0]!r}"


def _fits(string: str, ids: list[str]) -> bool:
    """Whether a translation has the places and tags of its text; those of one of both, where there is a plural."""
    return any(Counter(PLACE.findall(string)) == Counter(PLACE.findall(one)) for one in ids)


if __name__ == "__main__":
    sys.exit(main())

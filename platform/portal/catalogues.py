"""Translations for pages that look up hundreds: each language's in one dictionary.

Django keeps a catalogue for each app and asks one after the other, for an English text, which few of them have, all of
them and their fallbacks twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.utils.translation import trans_real

Plural = Callable[[int], int]


class Catalogue(trans_real.DjangoTranslation):
    """Django's translations into one language; says the same as they do."""

    def __init__(self, language: str) -> None:
        super().__init__(language)
        self._texts: dict[str, str] = {}
        self._counted: dict[str, tuple[Plural, dict[int, str]]] = {}
        for texts, plural in reversed(list(_in_order(self))):
            self._add(texts, plural)

    def _add(self, texts: dict[Any, str], plural: Plural) -> None:
        """Texts that come before those that are there."""
        counted: dict[str, dict[int, str]] = {}
        for key, text in texts.items():
            if isinstance(key, tuple):
                counted.setdefault(key[0], {})[key[1]] = text
        self._counted |= {name: (plural, forms) for name, forms in counted.items()}
        self._texts |= {name: forms[plural(1)] for name, forms in counted.items()}
        self._texts |= {key: text for key, text in texts.items() if isinstance(key, str)}

    def gettext(self, message: str) -> str:
        return self._texts.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        if msgid1 not in self._counted:
            return msgid1 if n == 1 else msgid2
        plural, forms = self._counted[msgid1]
        return forms[plural(n)]


def _in_order(translation: Any) -> Iterator[tuple[dict[Any, str], Plural]]:
    """The catalogues that Django and gettext look through, the first first."""
    while translation is not None:
        catalog: Any = translation._catalog
        if hasattr(catalog, "_catalogs"):
            yield from zip(catalog._catalogs, catalog._plurals, strict=True)
        else:
            yield catalog, translation.plural
        translation = translation._fallback


def join() -> None:
    """Have the settings' languages looked up so from now on; the default first, which others fall back on."""
    others = [language for language, _ in settings.LANGUAGES if language != settings.LANGUAGE_CODE]
    known: dict[str, Any] = vars(trans_real)["_translations"]
    for language in (settings.LANGUAGE_CODE, *others):
        if not isinstance(known.get(language), Catalogue):
            known[language] = Catalogue(language)

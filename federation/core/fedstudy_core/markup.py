"""Labels that somebody wrote in HTML, as plain text."""

from __future__ import annotations

from html.parser import HTMLParser

from fedstudy_core.canonical import plain_text


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.words.append(" ")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def without_markup(text: str) -> str:
    """The words of a text that may hold HTML, on one line, without characters that could deceive a reader."""
    parser = _Words()
    parser.feed(text)
    parser.close()
    return " ".join(plain_text("".join(parser.words)).split())

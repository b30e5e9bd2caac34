"""Answers that a browser saves as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from portal.downloads import file_response

PORTAL = Path(__file__).resolve().parents[2] / "platform" / "portal"


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("model-card.md", 'attachment; filename="model-card.md"'),
        ('a "b".csv', r'attachment; filename="a \"b\".csv"'),
        ("Übersicht.pdf", "attachment; filename*=utf-8''%C3%9Cbersicht.pdf"),
        ("", "attachment"),
    ],
)
def test_a_file_is_saved_under_its_name_and_shown_by_no_browser(name: str, header: str) -> None:
    answer = file_response(name, b"<script>")
    assert (answer["Content-Disposition"], answer["Content-Type"]) == (header, "application/octet-stream")
    assert answer.content == b"<script>"


def test_files_leave_the_portal_by_one_function() -> None:
    naming = {path.name for path in PORTAL.rglob("*.py") if "Content-Disposition" in path.read_text("utf-8")}
    assert naming == {"downloads.py"}

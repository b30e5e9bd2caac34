"""The design system keeps its promises: contrast, vendored files as locked, nothing inline, nothing missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import call_command
from django.template.loader import get_template

from portal.web.management.commands.vendor_assets import check
from portal.web.presenters.icons import ICONS
from portal.web.presenters.levels import LEVELS
from portal.web.presenters.status import STATUSES

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
TOKEN = re.compile(r"--fs-([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")
TOKENS = {
    name: {"light": light, "dark": dark}
    for name, light, dark in TOKEN.findall((ROOT / "static/fedstudy/css/tokens.css").read_text())
}
TEXT = [
    ("ink", "canvas"),
    ("ink", "surface"),
    ("ink", "sunken"),
    ("muted", "canvas"),
    ("muted", "surface"),
    ("muted", "sunken"),
    ("brand", "canvas"),
    ("brand", "surface"),
    ("brand", "brand-soft"),
    ("on-brand", "brand"),
    ("on-brand", "brand-strong"),
    *[(tone, f"{tone}-soft") for tone in ("ok", "wait", "bad", "info", "idle")],
    *[("ink", f"{tone}-soft") for tone in ("ok", "wait", "bad", "info", "idle")],
    *[(tone, "surface") for tone in ("ok", "wait", "bad", "info", "idle")],
]
MARKS = [
    ("line-strong", "surface"),
    ("line-strong", "canvas"),
    ("focus", "surface"),
    ("focus", "canvas"),
    ("series-pooled", "surface"),
    *[(f"series-{number}", "surface") for number in range(1, 9)],
]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("front", "back"), TEXT)
def test_text_has_a_contrast_of_at_least_four_and_a_half(front: str, back: str, theme: str) -> None:
    assert contrast(TOKENS[front][theme], TOKENS[back][theme]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("front", "back"), MARKS)
def test_lines_and_marks_have_a_contrast_of_at_least_three(front: str, back: str, theme: str) -> None:
    assert contrast(TOKENS[front][theme], TOKENS[back][theme]) >= 3


def test_every_state_has_a_word_an_icon_and_a_tone() -> None:
    for states in STATUSES.values():
        for status in states.values():
            assert status.label
            assert status.icon in ICONS
            assert status.tone in {"ok", "wait", "bad", "info", "idle"}


def test_every_level_of_the_domain_is_explained() -> None:
    from studies.enrolment.states import LEVELS as KNOWN

    assert [level.code for level in LEVELS] == list(KNOWN)


def test_every_state_of_the_domain_has_a_status() -> None:
    from federation.releases.states import RELEASE
    from federation.runs import states as runs
    from nodes.registry.states import NODE
    from studies.dictionary.states import DATASET
    from studies.enrolment.states import ENROLMENT
    from studies.lifecycle.states import STUDY
    from studies.scripts.states import VERSION

    tables = {
        "study": STUDY,
        "enrolment": ENROLMENT,
        "node": NODE,
        "dataset": DATASET,
        "script": VERSION,
        "run": runs.RUN,
        "release": RELEASE,
        "round": runs.ROUND,
        "participation": runs.PARTICIPATION,
    }
    for kind, table in tables.items():
        assert set(table.states) <= set(STATUSES[kind]), kind


def test_vendored_files_are_those_of_the_lock() -> None:
    call_command("vendor_assets", "--check", verbosity=0)


def test_an_altered_missing_or_unknown_vendored_file_is_found(tmp_path: Path) -> None:
    import shutil

    vendor = tmp_path / "vendor"
    shutil.copytree(ROOT / "static/vendor", vendor)
    (vendor / "uplot/uPlot.min.css").write_text("altered")
    (vendor / "idiomorph/LICENSE").unlink()
    (vendor / "stray.js").write_text("")
    assert len(check(vendor)) == 3


def test_every_vendored_package_ships_its_licence() -> None:
    for folder in (ROOT / "static/vendor").iterdir():
        if folder.is_dir():
            assert (folder / "LICENSE").is_file(), folder.name


# What people keep as one file holds its own style; the portal does not serve it as a page.
DOCUMENTS = {ROOT / "templates/dossiers/dossier.html"}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_templates_have_nothing_inline_and_name_only_files_that_exist(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text), "a script without src"
    assert not re.search(r"\sstyle=|\son[a-z]+=|javascript:|hx-on|hx-vals=.js:", text)
    assert path in DOCUMENTS or "<style" not in text
    assert not re.search(r"(?:src|href)=.(?:https?:)?//", text), "another host"
    for name in re.findall(r"{% static ['\"]([^'\"]+)['\"] %}", text):
        assert (ROOT / "static" / name).is_file(), name
    get_template(str(path.relative_to(ROOT / "templates")))


@pytest.mark.parametrize("path", sorted((ROOT / "static/fedstudy/css").glob("*.css")), ids=lambda path: path.name)
def test_style_sheets_name_only_files_and_values_that_exist(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(r"url\([\"']?([^\"')]+)", text):
        assert (path.parent / name).resolve().is_file(), name
    defined = set(re.findall(r"(--fs-[a-z0-9-]+):", (ROOT / "static/fedstudy/css/tokens.css").read_text()))
    assert set(re.findall(r"var\((--fs-[a-z0-9-]+)", text)) <= defined
    assert len(text.splitlines()) <= 500

"""The pages on which a version is reviewed."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from fedstudy_core import bundle
from fedstudy_core.bundle import Bundle, inspect
from fedstudy_core.errors import Invalid
from nodes.registry.models import Node
from nodes.registry.pages import checked_page_url, set_page_url
from portal.web.highlight import highlighted_lines
from portal.web.presenters import amendments
from portal.web.presenters.diffs import diff_rows
from portal.web.presenters.files import file_rows, tree_rows
from studies.scripts.models import Approval, ReviewThread, ReviewTick, ScriptVersion
from studies.scripts.reviews import open_thread
from studies.scripts.services import submit_version
from tests.api.world import World, fab, sources
from tests.web.conftest import Browser
from tests.web.markup import Page, assert_sound

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # of Flower's own build
]
ATTACK = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'`"


def amend(world: World, client: bytes = b'"""Client."""\n\nimport socket\n\napp = None\n') -> ScriptVersion:
    """The world's second version: its client app opens a socket."""
    built = bundle.build({**sources("1.0.1"), "tiny/client.py": client})
    return submit_version(script=world.script, bundle=built, by=world.pi)


def shown(browser: Browser, who: str, name: str, version: ScriptVersion, query: str = "") -> Page:
    answer = browser(who).get(reverse(f"web:{name}", args=[version.pk]) + query)
    assert answer.status_code == 200
    return assert_sound(answer.content.decode())


def test_the_overview_says_what_an_amendment_changes(world: World, browser: Browser) -> None:
    second = amend(world)
    text = shown(browser, "site_admin", "version", second).text
    assert "What changed since version 1" in text
    assert "1 new finding of high risk." in text
    assert "Version 2 replaces version 1." in text
    assert f"{world.site.name} still runs version 1 until it signs version 2." in text
    assert "opens network connections" in text
    before = shown(browser, "pi", "version", world.version).text
    assert "Version 2 replaces this one." in before


def test_findings_lead_to_their_lines(world: World, browser: Browser) -> None:
    second = amend(world)
    overview = shown(browser, "pi", "version", second)
    source = reverse("web:version-source", args=[second.pk])
    assert f"{source}?file=tiny%2Fclient.py#line-3" in overview.targets
    page = shown(browser, "pi", "version-source", second, "?file=tiny/client.py")
    assert "line-3" in page.ids
    assert "Imports “socket”, which opens network connections." in page.text
    assert "1 finding, the highest of high risk" in page.text
    assert "opens network" not in shown(browser, "pi", "version-source", second, "?file=tiny/server.py").text


def test_source_is_shown_as_text_whatever_it_says(world: World, browser: Browser) -> None:
    second = amend(world, f'"""{ATTACK[:40]}"""\n# {ATTACK}\napp = None\n'.encode())
    for name in ("version", "version-source", "version-changes"):
        answer = browser("pi").get(reverse(f"web:{name}", args=[second.pk]), {"file": "tiny/client.py"})
        html = answer.content.decode()
        assert "<script>alert" not in html
        assert "<img src=x" not in html


def test_changes_are_against_what_the_site_approved(world: World, browser: Browser) -> None:
    second = amend(world)
    third = submit_version(script=world.script, bundle=fab("1.0.3"), by=world.pi)
    assert "approved version 1 last" in shown(browser, "site_admin", "version-changes", third).text
    assert "since version 2" in shown(browser, "pi", "version-changes", third).text
    chosen = shown(browser, "site_admin", "version-changes", third, "?against=2")
    assert "since version 2" in chosen.text
    there = reverse("web:version-changes", args=[third.pk])
    for wrong in ("3", "99", "x", "-1", "9" * 40):
        assert browser("pi").get(there, {"against": wrong}).status_code == 404, wrong
    assert "import socket" in shown(browser, "pi", "version-changes", second).text
    assert "This is the script's only version" not in shown(browser, "pi", "version-changes", second).text


def test_a_first_version_has_nothing_to_compare_with(world: World, browser: Browser) -> None:
    assert "Nothing to compare with" in shown(browser, "pi", "version-changes", world.version).text


def test_the_node_s_own_page_is_a_click_away(world: World, browser: Browser) -> None:
    Approval.objects.all().update(state="revoked", revoked_at=world.approval.recorded_at)
    set_page_url(node=world.node, page_url="https://node.cleveland.example:8443/")
    there = reverse("web:version", args=[world.version.pk])
    html = browser("site_admin").get(there).content.decode()
    assert f'href="https://node.cleveland.example:8443/review/{world.version.pk}"' in html
    assert 'rel="noopener noreferrer"' in html
    assert "node.cleveland.example" not in browser("pi").get(there).content.decode()


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "ftp://node",
        "//node/",
        "node.example",
        "https://user:password@node/",
        "https://node/?x=1",
        "https://node/#x",
        "https://node:99999/",
        'https://node/"onclick="x',
        "https://node/ x",
        "https://nöde/",
        "https://" + "a" * 300,
        "https://",
    ],
)
def test_a_node_s_page_is_a_plain_address(world: World, url: str) -> None:
    with pytest.raises(Invalid):
        set_page_url(node=world.node, page_url=url)
    assert Node.objects.get(pk=world.node.pk).page_url == ""


def test_addresses_lose_their_last_slash() -> None:
    assert checked_page_url(" https://node.local:8443/ ") == "https://node.local:8443"
    assert checked_page_url("") == ""


# --- threads and checklists


def test_a_question_is_asked_answered_and_resolved(world: World, browser: Browser) -> None:
    there = reverse("web:thread-new", args=[world.version.pk])
    site, pi = browser("site_admin"), browser("pi")
    asked = {"kind": "question", "path": "tiny/client.py", "line": "1", "text": ATTACK}
    answer = site.post(there, asked)
    thread = ReviewThread.objects.get()
    assert answer.headers["Location"].endswith(f"#thread-{thread.pk}")
    pi.post(reverse("web:thread", args=[thread.pk, "answer"]), {"text": "Because."})
    page = shown(browser, "auditor", "version-review", world.version)
    assert "Because." in page.text
    assert ATTACK in page.text
    assert "Ask or comment" not in page.text
    assert "1 open thread" in shown(browser, "pi", "version-source", world.version, "?file=tiny/client.py").text
    pi.post(reverse("web:thread", args=[thread.pk, "resolve"]))
    assert "Resolved by Pat Investigator." in shown(browser, "site_admin", "version-review", world.version).text
    assert pi.post(reverse("web:thread", args=[thread.pk, "burn"])).status_code == 404


def test_what_does_not_fit_is_said_at_the_form(world: World, browser: Browser) -> None:
    there = reverse("web:thread-new", args=[world.version.pk])
    for wrong in ({"text": ""}, {"text": "x", "path": "nothing.py"}, {"text": "x", "line": "0"}):
        answer = browser("pi").post(there, {"kind": "question", **wrong})
        assert answer.status_code == 400
        assert "Nothing was saved" in assert_sound(answer.content.decode()).text


def test_a_checklist_is_kept_and_leads_to_signing(world: World, browser: Browser) -> None:
    Approval.objects.all().update(state="revoked", revoked_at=world.approval.recorded_at)
    there, site = reverse("web:checklist", args=[world.version.pk]), browser("site_admin")
    site.post(there, {"site": str(world.site.pk), "items": ["purpose", "source"]})
    assert set(ReviewTick.objects.values_list("item", flat=True)) == {"purpose", "source"}
    assert "2 of 9 ticked" in shown(browser, "site_admin", "version", world.version).text
    assert "Checklist for" in shown(browser, "site_admin", "version-review", world.version).text
    assert "Checklist for" not in shown(browser, "pi", "version-review", world.version).text
    assert browser("pi").post(there, {"site": str(world.site.pk), "items": ["purpose"]}).status_code == 403


def test_pages_ask_as_often_for_many_as_for_one(world: World, browser: Browser) -> None:
    version = amend(world)

    def queries(name: str) -> list[str]:
        client, there = browser("site_admin"), reverse(f"web:{name}", args=[version.pk])
        client.get(there)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(there).status_code == 200
        return [query["sql"] for query in captured]

    open_thread(version=version, text="One", path="tiny/client.py", line=1, by=world.pi)
    names = ("version", "version-source", "version-changes", "version-review")
    before = {name: len(queries(name)) for name in names}
    for number in range(4):
        open_thread(version=version, text=str(number), path="tiny/client.py", line=1, by=world.site_admin)
        amend(world, f"app = {number}\n".encode())
    after = {name: queries(name) for name in names}
    assert {name: len(found) for name, found in after.items()} == before
    assert max(before.values()) <= 40
    for there in ("/", reverse("web:study", args=[world.study.pk])):
        with CaptureQueriesContext(connection) as captured:
            assert browser("pi").get(there).status_code == 200
        assert not any('"scripts_scriptversion"."bundle"' in query["sql"] for query in captured), there
    loaded = {name: sum('"scripts_scriptversion"."bundle"' in sql for sql in found) for name, found in after.items()}
    assert loaded == {"version": 2, "version-source": 1, "version-changes": 2, "version-review": 0}


# --- presenters


def test_a_diff_marks_the_words_that_differ() -> None:
    rows = list(diff_rows(["a", "rate = 0.1", "z"], ["a", "rate = 0.2", "z"]))
    assert [(row.kind, row.sign, row.old, row.new) for row in rows] == [
        ("same", "", 1, 1),
        ("gone", "−", 2, None),
        ("come", "+", None, 2),
        ("same", "", 3, 3),
    ]
    assert rows[1].segments == (("rate = 0.", False), ("1", True)) or rows[1].segments[-1][1]
    assert "".join(text for text, _ in rows[2].segments) == "rate = 0.2"


def test_a_diff_leaves_out_what_is_far_from_changes() -> None:
    old = [str(number) for number in range(100)]
    rows = list(diff_rows(old, [*old[:50], "new", *old[50:]]))
    assert [row.kind for row in rows] == ["skip", *["same"] * 3, "come", *["same"] * 3]
    assert list(diff_rows(old, old)) == []


def test_files_stand_in_folders() -> None:
    files = [{"path": path, "size": 1, "sha256": "0"} for path in ("pyproject.toml", "tiny/a.py", "tiny/in/b.py")]
    drawn = [
        (row.depth, row.folder or (row.file.name if row.file else "")) for row in tree_rows(file_rows(files, "", []))
    ]
    assert drawn == [(0, "tiny"), (1, "in"), (2, "b.py"), (1, "a.py"), (0, "pyproject.toml")]


def test_each_line_of_a_source_stands_for_itself() -> None:
    text = '"""Two\nlines."""\nx = "<b>"\n'
    lines = highlighted_lines("x.py", text)
    assert len(lines) == 3
    assert all(line.count("<span") == line.count("</span>") for line in lines)
    assert "&lt;b&gt;" in lines[2]


def test_a_bundle_is_inspected_once(world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def inspected(content: bytes) -> Bundle:
        seen.append(len(content))
        return inspect(content)

    monkeypatch.setattr(amendments, "_bundles", {})
    monkeypatch.setattr(amendments, "inspect", inspected)
    for _ in range(2):
        assert browser("pi").get(reverse("web:version", args=[world.version.pk])).status_code == 200
    assert len(seen) == 1

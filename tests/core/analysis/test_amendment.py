"""What a new version changes, and the word for its risk."""

from __future__ import annotations

import pytest

from fedstudy_core import bundle
from fedstudy_core.analysis import Category, Finding, Risk, analyse
from fedstudy_core.analysis.amendment import Amendment, Snapshot, compare, line_counts
from fedstudy_core.archives import read_archive
from tests.core.analysis.frame import PROJECT, bundle_files, in_train

pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # of Flower's own build
CLIENT = in_train("rate = 0.1")


def snapshot(client: str, **files: str) -> Snapshot:
    fab = bundle.build(bundle_files(client, **files))
    return Snapshot.of(fab, analyse(read_archive(fab)))


def change(client: str = CLIENT, **files: str) -> Amendment:
    return compare(snapshot(CLIENT), snapshot(client, **files))


def test_the_same_version_changes_nothing() -> None:
    assert compare(snapshot(CLIENT), snapshot(CLIENT)).files == ()


@pytest.mark.parametrize(
    ("client", "files"),
    [
        (CLIENT + "\n# a comment\n", {}),
        (CLIENT, {"README.md": "# More words\n"}),
        (CLIENT, {"tiny/server.py": "app = None\nrounds = 3\n"}),
        (CLIENT, {"pyproject.toml": PROJECT.replace('"1.0.0"', '"1.0.1"')}),
    ],
)
def test_what_no_site_runs_is_no_risk(client: str, files: dict[str, str]) -> None:
    found = change(client, **files)
    assert (found.risk, len(found.files)) == ("none", 1)
    assert found.reasons == ("Only comments, documentation or files that no site runs changed.",)


def test_a_little_code_is_a_low_risk_and_much_a_medium_one() -> None:
    little = change(in_train("rate = 0.2"))
    assert (little.risk, little.reasons) == ("low", ("2 lines of what sites run or read changed.",))
    assert [(item.path, item.kind, item.plus, item.minus, item.runs) for item in little.files] == [
        ("tiny/client.py", "changed", 1, 1, True)
    ]
    assert change(in_train("\n".join(f"x{n} = {n}" for n in range(40)))).risk == "medium"


def test_new_findings_are_told_apart_from_old_ones_that_moved() -> None:
    old = snapshot(in_train("eval('1')"))
    moved = compare(old, snapshot(in_train("pass\npass\neval('1')")))
    assert (moved.new_findings, moved.risk) == ((), "low")
    another = compare(old, snapshot(in_train("eval('1')\neval('2')")))
    assert [item.rule for item in another.new_findings] == ["DYNAMIC_CODE"]
    assert (another.risk, another.reasons[0]) == ("high", "1 new finding of high risk.")


def test_the_same_line_twice_is_one_more_finding() -> None:
    old, new = snapshot(in_train("eval('1')")), snapshot(in_train("eval('1')\neval('1')"))
    assert len(compare(old, new).new_findings) == 1


@pytest.mark.parametrize(
    ("before", "after", "risk", "sentence"),
    [
        ('loss = "mean"', 'loss = "sum"', "medium", "in another way: sum; before: mean"),
        ('loss = "mean"', 'loss = "mean"\nage = "mean"', "medium", "metric “age” is new"),
        ('initial = "query.initial"', 'initial = "query.other"', "medium", "query.other; before: query.initial"),
    ],
)
def test_what_leaves_a_site_is_a_medium_risk(before: str, after: str, risk: str, sentence: str) -> None:
    found = change(**{"pyproject.toml": PROJECT.replace(before, after)})
    assert found.risk == risk
    assert sentence in " ".join(found.outputs)


LIMITS = PROJECT + "\n[tool.fedstudy.parameters.local-steps]\nmin = 1\nmax = {}\n"


@pytest.mark.parametrize(("before", "after", "risk"), [(10, 20, "medium"), (20, 10, "low")])
def test_limits_that_widen_are_a_medium_risk(before: int, after: int, risk: str) -> None:
    old = snapshot(CLIENT, **{"pyproject.toml": LIMITS.format(before)})
    found = compare(old, snapshot(CLIENT, **{"pyproject.toml": LIMITS.format(after)}))
    assert found.risk == risk
    assert found.parameters == (f"“local-steps” allows other values: 1 to {after}; before: 1 to {before}.",)


@pytest.mark.parametrize(
    ("before", "after", "risk"), [('"numpy"', '"numpy", "scipy"', "medium"), ('"numpy", ', "", "low")]
)
def test_dependencies_count(before: str, after: str, risk: str) -> None:
    assert change(**{"pyproject.toml": PROJECT.replace(before, after)}).risk == risk


def test_another_entry_is_a_medium_risk() -> None:
    files = {"tiny/other.py": CLIENT, "pyproject.toml": PROJECT.replace("tiny.client:app", "tiny.other:app")}
    found = change(**files)
    assert found.risk == "medium"
    assert "begins in another file: tiny.other" in " ".join(found.reasons)


def test_lines_are_counted_also_in_files_that_are_too_long_to_compare() -> None:
    assert line_counts(b"a\nb\n", b"a\nc\nd\n") == (2, 1)
    assert line_counts(b"a\n" * 30_000, b"a\n" * 30_001) == (1, 0)


def test_a_finding_of_a_line_that_is_not_there_has_no_text() -> None:
    lost = Finding("tiny/client.py", 999, Category.FILE, Risk.LOW, "FILE_READ", "x")
    assert snapshot(CLIENT).line(lost) == ""

"""`fedstudy-verify` takes what holds, refuses whatever was altered, and names the first row that does not hold."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from fedstudy_verify import blocks
from fedstudy_verify.cli import as_text
from fedstudy_verify.verifying import Trust, Verdict, verify
from tests.verify.altering import altered, first_of
from tests.verify.exports import LOG_KEY, WITNESS_KEYS, leaf_of, write_export, write_manifest

EVENTS = 120


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "whole"
    write_export(folder, EVENTS, earlier=(1, 50, 100), cosigners=3, quorum=2)
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def test_a_whole_export_holds(whole: Path) -> None:
    found = verify(whole, Trust(LOG_KEY, WITNESS_KEYS, 3))
    assert (found.ok, found.problems, found.first_bad_row) == (True, [], None)
    assert (found.events, found.hidden, found.size, found.checkpoints) == (EVENTS, 0, EVENTS, 4)
    assert (found.key_from, found.witnesses) == ("given", ["node.test/0", "node.test/1", "node.test/2"])


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 300])
def test_exports_of_any_size_hold(size: int, tmp_path: Path) -> None:
    write_export(tmp_path / "some", size, hidden=set(range(1, size, 3)) | set(range(20, 150)), earlier=(size // 2 + 1,))
    found = verify(tmp_path / "some")
    assert found.ok, found.problems
    assert found.events + found.hidden == found.size == size
    assert found.key_from == "export"


def test_a_thousand_alterations_are_found_and_the_first_bad_row_named(copy: Path) -> None:
    log = copy / "log.jsonl"
    rows = log.read_bytes().splitlines(keepends=True)
    chance = random.Random(20260601)
    kinds = set()
    for _ in range(1_000):
        kind, left, first = altered(rows, chance)
        first = first_of(kind, left, first, rows)
        log.write_bytes(b"".join(left))
        if chance.random() < 0.5:  # also by somebody who writes the list of files anew
            write_manifest(copy)
        found = verify(copy)
        assert not found.ok, (kind, first)
        assert found.first_bad_row is not None, (kind, first, found.problems)
        if kind == "edit" and b"\n" in left[first][:-1]:  # a row that became two
            assert found.first_bad_row["line"] == first + 1
        else:
            assert (found.first_bad_row["line"], found.first_bad_row["position"]) == (first + 1, first), kind
        kinds.add(kind)
    assert kinds == {"edit", "delete", "insert", "reorder", "truncate"}


def test_a_log_in_many_blocks_is_read_alike(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a long one is, by several processes: whole, and with the first bad row in a later block or between two."""
    monkeypatch.setattr(blocks, "SIZE", 10_000)
    assert verify(copy).ok
    log = copy / "log.jsonl"
    rows = log.read_bytes().splitlines(keepends=True)
    spoilt = {
        0: rows[1:],
        57: [*rows[:57], rows[57].replace(b"user:7", b"user:8"), *rows[58:]],
        90: rows[:90] + rows[91:],
        EVENTS - 1: rows[:-1],
        EVENTS: [*rows, rows[-1]],
    }
    for first, left in spoilt.items():
        log.write_bytes(b"".join(left))
        assert verify(copy).first_bad_row == {"line": first + 1, "position": first}


def test_what_is_not_shown_cannot_be_altered_either(tmp_path: Path) -> None:
    write_export(tmp_path / "part", EVENTS, hidden=range(30, 90), earlier=(60,))
    log = tmp_path / "part" / "log.jsonl"
    rows = log.read_bytes().splitlines(keepends=True)
    line = next(at for at, row in enumerate(rows) if b"hidden" in row)
    for old, new in (
        (b"[30,60]", b"[30,61]"),
        (b"[30,60]", b"[30,30]"),
        (b'"roots":["', b'"roots":["0'),
        (b",", b", "),
    ):
        log.write_bytes(b"".join([*rows[:line], rows[line].replace(old, new, 1), *rows[line + 1 :]]))
        found = verify(tmp_path / "part")
        assert found.first_bad_row == {"line": line + 1, "position": 30}
    digit = rows[line].replace(b'["', b'["f' if rows[line].split(b'["')[1][:1] != b"f" else b'["e')
    digit = digit[: digit.index(b'["') + 3] + digit[digit.index(b'["') + 4 :]
    log.write_bytes(b"".join([*rows[:line], digit, *rows[line + 1 :]]))
    found = verify(tmp_path / "part")
    assert found.first_bad_row == {"line": line + 1, "position": 0, "until": 60}


@pytest.mark.parametrize("change", [(b'","', b'""'), (b"]}", b",]}")])
def test_hashes_of_what_is_not_shown_stand_in_a_list(change: tuple[bytes, bytes], tmp_path: Path) -> None:
    write_export(tmp_path / "part", 40, hidden=range(3, 30))
    log = tmp_path / "part" / "log.jsonl"
    rows = log.read_bytes().splitlines(keepends=True)
    old, new = change
    before, found, after = rows[3].rpartition(old)
    assert found
    log.write_bytes(b"".join([*rows[:3], before + new + after, *rows[4:]]))
    assert verify(tmp_path / "part").first_bad_row == {"line": 4, "position": 3}


def test_a_row_that_was_exchanged_with_its_hash_is_narrowed_down(whole: Path, tmp_path: Path) -> None:
    """Somebody wrote row 70 anew, as it would look had something else happened; the tree's root tells."""
    write_export(
        tmp_path / "forged", EVENTS, leaf=lambda at: leaf_of(at) if at != 70 else replace(leaf_of(at), actor="user:8")
    )
    shutil.copytree(whole, tmp_path / "copy")
    shutil.copy(tmp_path / "forged" / "log.jsonl", tmp_path / "copy" / "log.jsonl")
    write_manifest(tmp_path / "copy")
    found = verify(tmp_path / "copy")
    assert not found.ok
    assert found.first_bad_row == {"line": 100, "position": 50, "until": 100}
    assert "exchanged" in found.problems[0]


def test_an_altered_context_is_named_and_none_can_be_taken_out_or_put_in(copy: Path) -> None:
    """Row 8 has a context, row 7 is of before there was one."""
    log = copy / "log.jsonl"
    rows = log.read_bytes().splitlines(keepends=True)
    (context,) = re.findall(rb',"context":\{"salt":.*\},"leaf"', rows[7])
    context = context.removesuffix(b',"leaf"')
    changes = {
        7: [
            (
                rows[7].replace(b'\\"aal\\": 2', b'\\"aal\\": 1'),
                "the context of the event is not the one that its leaf",
            ),
            (rows[7].replace(b"r-7", b"r-8"), "the context of the event is not the one that its leaf"),
            (rows[7].replace(context, b""), "the context of the event is not there"),
        ],
        6: [(rows[6].replace(b',"leaf"', context + b',"leaf"'), "the context of the event is not the one")],
    }
    for at, altered_rows in changes.items():
        for row, problem in altered_rows:
            assert row != rows[at]
            log.write_bytes(b"".join([*rows[:at], row, *rows[at + 1 :]]))
            write_manifest(copy)
            found = verify(copy)
            assert found.first_bad_row == {"line": at + 1, "position": at}
            assert problem in found.problems[0]


@pytest.mark.parametrize("name", ["checkpoint", "earlier.jsonl", "keys.json", "manifest.json"])
def test_no_other_file_can_be_altered(name: str, copy: Path) -> None:
    original = (copy / name).read_bytes()
    chance = random.Random(name)
    for _ in range(60):
        place = chance.randrange(len(original))
        data = bytearray(original)
        data[place] ^= 1 << chance.randrange(8)
        (copy / name).write_bytes(bytes(data))
        assert not verify(copy).ok, (name, place)
    (copy / name).write_bytes(original[:-1])
    assert not verify(copy).ok
    (copy / name).unlink()
    assert verify(copy).problems == [f"{name} is not there."]


def test_whoever_signs_anew_is_not_whom_the_auditor_knows(copy: Path) -> None:
    known = LOG_KEY.replace("portal.test", "portal.other")
    assert not verify(copy, Trust(known)).ok
    found = verify(copy, Trust(LOG_KEY, [WITNESS_KEYS[0].replace("node.test/0", "node.test/9")]))
    assert not found.ok


def test_too_few_witnesses_are_too_few(tmp_path: Path) -> None:
    write_export(tmp_path / "few", 9, cosigners=1, quorum=2)
    found = verify(tmp_path / "few")
    assert found.problems == ["1 witnesses signed the checkpoint, and 2 should have."]
    assert found.first_bad_row is None
    assert found.witnesses == ["node.test/0"]


def test_all_witnesses_whose_keys_are_given_must_have_signed(tmp_path: Path) -> None:
    """Unless a quorum of them is asked for; what the export asks for is the word of whoever made it."""
    write_export(tmp_path / "none", 9)
    for keys in (WITNESS_KEYS[:1], WITNESS_KEYS):
        told = f"0 witnesses signed the checkpoint, and {len(keys)} should have."
        assert verify(tmp_path / "none", Trust(LOG_KEY, keys)).problems == [told]
    write_export(tmp_path / "two", 9, cosigners=2, quorum=1)
    assert verify(tmp_path / "two", Trust(LOG_KEY, WITNESS_KEYS)).problems
    for trust in (Trust(LOG_KEY, WITNESS_KEYS[:2]), Trust(LOG_KEY, WITNESS_KEYS, 2)):
        found = verify(tmp_path / "two", trust)
        assert (found.ok, found.quorum, found.witnessed, found.witnesses_from) == (True, 2, 9, "given")
    assert verify(tmp_path / "two").witnesses_from == "export"


@pytest.mark.parametrize("quorum", [-1, 2.0, None, "2"])
def test_a_quorum_is_a_number_of_witnesses(quorum: object, copy: Path) -> None:
    keys = {"log": LOG_KEY, "quorum": quorum, "witnesses": WITNESS_KEYS}
    (copy / "keys.json").write_text(json.dumps(keys, separators=(",", ":")) + "\n")
    write_manifest(copy)
    assert verify(copy).problems == ["keys.json does not name the keys."]


@pytest.mark.parametrize("size", ["9" * 5_000, "-1", f"0{EVENTS}"])
def test_a_size_is_a_number_of_events(size: str, copy: Path) -> None:
    note = (copy / "checkpoint").read_text()
    (copy / "checkpoint").write_text(note.replace(f"\n{EVENTS}\n", f"\n{size}\n", 1))
    assert verify(copy).problems == ["this is no signed checkpoint."]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fedstudy_verify", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_says_what_came_out(copy: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "export"), "zip", copy)
    for there in (str(copy), archive):
        done = run(there, "--json", "--key", LOG_KEY)
        told = json.loads(done.stdout)
        assert (done.returncode, told["ok"], told["events"]) == (0, True, EVENTS)
    assert "120 events hold" in run(archive).stdout
    log = copy / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(b"user:7", b"user:8", 1))
    done = run(str(copy), "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["first_bad_row"]) == (1, False, {"line": 1, "position": 0})
    assert "Row 1 (event 0)" in run(str(copy)).stdout
    assert run(str(tmp_path / "nothing")).returncode == 1


@pytest.mark.parametrize("words", [["--quorum", "2"], ["--quorum", "-1"], ["--quorum", "-1", "--witness", "key"]])
def test_a_quorum_is_asked_of_witnesses_whom_the_auditor_knows(words: list[str], whole: Path) -> None:
    done = run(str(whole), *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "a quorum" in done.stderr


def test_whose_word_the_keys_are_is_said(whole: Path) -> None:
    assert "cosigned, by keys that the export names: node.test/0" in as_text(verify(whole))
    assert "cosigned: node.test/0" in as_text(verify(whole, Trust(LOG_KEY, WITNESS_KEYS)))


def test_a_good_verdict_ends_in_what_it_proves_and_what_not(whole: Path) -> None:
    proved, not_proved = as_text(verify(whole, Trust(LOG_KEY, WITNESS_KEYS))).splitlines()[-2:]
    assert proved.startswith(f"What this proves: the {EVENTS} events shown are as the log signed them. None was")
    assert proved.endswith(f"The witnesses whose keys you gave saw the same first {EVENTS} events.")
    assert "was true when it was written" in not_proved
    assert "--witness" not in not_proved
    proved, not_proved = as_text(verify(whole)).splitlines()[-2:]
    assert proved.endswith("That holds if the log's key is the one you know.")
    assert "that the log showed others the same (give witnesses' keys by --witness)" in not_proved
    assert "What this proves" not in as_text(Verdict(problems=["x"]))


def damaged(archive: Path, what: str) -> None:
    """A zip file that cannot be read as one: altered, cut, said to be encrypted or otherwise packed."""
    data = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as packed:
        found = packed.getinfo("log.jsonl")
    listed = data.index(b"PK\x01\x02")
    while data[listed + 46 : listed + 55] != b"log.jsonl":
        listed = data.index(b"PK\x01\x02", listed + 1)
    match what:
        case "altered":
            begin = found.header_offset + 30 + len("log.jsonl")
            data[begin : begin + 64] = bytes(range(64))
        case "encrypted":
            data[found.header_offset + 6] |= 1
            data[listed + 8] |= 1
        case "otherwise packed":
            data[listed + 10 : listed + 12] = (zipfile.ZIP_LZMA).to_bytes(2, "little")
        case _:
            del data[len(data) // 2 :]
    archive.write_bytes(data)


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("altered", "log.jsonl is damaged."),
        ("encrypted", "log.jsonl is damaged."),
        ("otherwise packed", "log.jsonl is packed in a way that the portal does not use."),
        ("cut", "this is no export."),
    ],
)
def test_a_damaged_archive_does_not_hold(what: str, problem: str, copy: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "export"), "zip", copy))
    damaged(archive, what)
    found = verify(archive)
    assert (found.ok, found.problems) == (False, [problem])


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    assert verify(tmp_path / "log.zip").problems == [f"there is no {tmp_path / 'log.zip'}."]


def test_it_needs_the_standard_library_and_cryptography_only() -> None:
    program = "import sys, fedstudy_verify.cli; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.strip("[]' \n") for name in done.stdout.split(",")}
    foreign = loaded - set(sys.stdlib_module_names) - {"fedstudy_verify", "cryptography", "__main__"}
    assert not {name for name in foreign if name in ("httpx", "pydantic", "django", "fedstudy_core", "fedstudy_client")}


def test_a_text_has_one_spelling(copy: Path) -> None:
    log = copy / "log.jsonl"
    rows = log.read_bytes().splitlines(keepends=True)
    rows[1] = rows[1].replace("ü".encode(), b"\\u00fc", 1)
    log.write_bytes(b"".join(rows))
    assert sha256(rows[1]).digest()
    assert verify(copy).first_bad_row == {"line": 2, "position": 1}

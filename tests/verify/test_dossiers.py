"""`fedstudy-verify` takes a dossier that is whole, refuses it after any change, and names what changed."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core.transparency.tree import inclusion_spans, leaf_hash, root_of
from fedstudy_verify.cli import as_text
from fedstudy_verify.dossier import DossierVerdict, is_dossier, verify_dossier
from fedstudy_verify.tree import root_above
from fedstudy_verify.verifying import Trust
from tests.verify.dossiers import RUN, plain_files, sign, write_dossier
from tests.verify.exports import LOG_KEY, write_export

OTHER = Ed25519PrivateKey.from_private_bytes(b"\x06" * 32)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dossiers") / "whole"
    write_dossier(folder)
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def problems(folder: Path) -> str:
    """What is wrong with a dossier that must not hold."""
    found = verify_dossier(folder, Trust(LOG_KEY))
    assert not found.ok
    return " ".join(found.problems)


def test_a_whole_dossier_holds(whole: Path) -> None:
    found = verify_dossier(whole, Trust(LOG_KEY))
    assert (found.ok, found.problems) == (True, [])
    assert (found.run, found.entry, found.files) == (RUN, 23, len(plain_files(whole)) - 2)
    assert (found.events, found.hidden, found.size, found.key_from) == (38, 2, 40, "given")
    assert "files of the dossier are as event 23 of the log binds them.\n" in as_text(found)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 33])
def test_inclusion_proofs_lead_to_the_root_and_others_do_not(size: int) -> None:
    hashes = [leaf_hash(bytes([number])) for number in range(size)]
    for index in range(size):
        proof = [root_of(hashes[first:last]) for first, last in inclusion_spans(index, size)]
        assert root_above(index, size, hashes[index], proof) == root_of(hashes)
        assert root_above(index + 1, size, hashes[index], proof) != root_of(hashes)
        assert root_above(index, size, hashes[index], [*proof, hashes[0]]) != root_of(hashes)
        if proof:
            assert root_above(index, size, hashes[index], proof[:-1]) != root_of(hashes)


def test_any_byte_of_any_file_counts(copy: Path) -> None:
    """All bytes of what signs the whole, and some of each other file."""
    chance = random.Random(11)
    for path in plain_files(copy):
        name, content = path.relative_to(copy).as_posix(), path.read_bytes()
        if not content:  # that it stays empty is the next test's
            continue
        some = {0, len(content) - 1, *(chance.randrange(len(content)) for _ in range(6))}
        for at in range(len(content)) if name == "signature.json" else some:
            altered = bytearray(content)
            altered[at] = (altered[at] + chance.randrange(1, 256)) % 256
            path.write_bytes(bytes(altered))
            assert name.partition("/")[0] in problems(copy), (name, at)
            if name not in ("manifest.json", "signature.json"):
                assert f"{name} was altered." in problems(copy), (name, at)
        path.write_bytes(content)
    assert verify_dossier(copy).ok


def test_a_file_that_is_gone_or_longer_is_named(copy: Path) -> None:
    for path in plain_files(copy):
        name, content = path.relative_to(copy).as_posix(), path.read_bytes()
        path.unlink()
        assert f"{name} is" in problems(copy), name
        path.write_bytes(content + b"\n")
        assert name in problems(copy), name
        path.write_bytes(content)
    assert verify_dossier(copy).ok


def test_whatever_is_added_is_named(copy: Path) -> None:
    (copy / "run" / "more.json").write_text("{}")
    assert "run/more.json was added." in problems(copy)
    (copy / "run" / "more.json").unlink()
    (copy / "log" / "more.jsonl").write_text("")
    assert "log/more.jsonl was added." in problems(copy)
    (copy / "log" / "more.jsonl").unlink()
    (copy / "empty").mkdir()
    assert "empty/ was added." in problems(copy)
    (copy / "empty").rmdir()
    (copy / "link").symlink_to("/etc")
    assert "link was added." in problems(copy)


def test_a_link_is_no_file(copy: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.html"
    (copy / "dossier.html").rename(elsewhere)
    (copy / "dossier.html").symlink_to(elsewhere)
    assert "dossier.html is no plain file." in problems(copy)


def test_contents_that_are_signed_anew_are_not_those_of_the_log(copy: Path) -> None:
    (copy / "run" / "rounds.json").write_text("[]\n")
    sign(copy)
    assert "is of other contents" in problems(copy)


def test_only_the_key_that_the_log_names_signs(tmp_path: Path) -> None:
    write_dossier(tmp_path / "other", signer=OTHER)
    assert "signature.json" in problems(tmp_path / "other")


def test_an_entry_is_of_a_dossier_and_in_this_log(tmp_path: Path, whole: Path) -> None:
    write_dossier(tmp_path / "read", action="runs:results:exported")
    assert "entry.jsonl is no entry of a dossier" in problems(tmp_path / "read")
    other = Path(shutil.copytree(whole, tmp_path / "other"))
    shutil.rmtree(other / "log")
    write_export(other / "log", 40)
    sign(other)
    assert "is not in the log" in problems(other)


def test_a_dossier_by_another_log_is_refused_by_who_knows_the_key(whole: Path) -> None:
    found = verify_dossier(whole, Trust(LOG_KEY.replace("portal", "elsewhere")))
    assert not found.ok


def test_a_zip_file_is_verified_too_and_strange_ones_are_refused(whole: Path, tmp_path: Path) -> None:
    packed = tmp_path / "dossier.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in plain_files(whole):
            archive.write(path, path.relative_to(whole).as_posix())
    assert is_dossier(packed)
    found = verify_dossier(packed, Trust(LOG_KEY))
    assert (found.ok, found.entry) == (True, 23)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("../outside", "x")
    assert verify_dossier(packed).problems == ["the zip file has a strange name ('../outside')."]
    packed.write_bytes(packed.read_bytes()[:500])
    assert verify_dossier(packed).problems == ["the zip file is damaged."]


def test_a_zip_file_with_a_byte_that_was_changed_is_never_taken_and_never_breaks_the_verifier(tmp_path: Path) -> None:
    packed = tmp_path / "dossier.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("entry.jsonl", random.Random(3).randbytes(2000).hex())
    plain = packed.read_bytes()
    for position in range(0, len(plain), 29):
        packed.write_bytes(plain[:position] + bytes([plain[position] ^ 0x5A]) + plain[position + 1 :])
        assert verify_dossier(packed).problems
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("entry.jsonl", "x")
    assert "packed in a way" in verify_dossier(packed).problems[0]


def test_an_export_is_no_dossier(tmp_path: Path) -> None:
    write_export(tmp_path / "export", 3)
    assert not is_dossier(tmp_path / "export")
    assert not is_dossier(tmp_path / "nowhere")


def test_the_command_tells_by_json_and_exit_code(copy: Path) -> None:
    command = [sys.executable, "-m", "fedstudy_verify", str(copy), "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    facts = json.loads(told.stdout)
    assert (told.returncode, facts["ok"], facts["events"], facts["run"], facts["entry"]) == (0, True, 38, RUN, 23)
    (copy / "signature.json").unlink()
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (told.returncode, json.loads(told.stdout)["ok"]) == (1, False)
    assert as_text(DossierVerdict(problems=["x was added."])).endswith("This dossier does NOT hold.\n")

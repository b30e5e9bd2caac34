"""Bundles are read with suspicion: what a careful person would not unpack is refused, with its code."""

import io
import stat
import zipfile
from pathlib import Path

import pytest

from fedstudy_core import bundle
from fedstudy_core.errors import Refusal
from tests.core.builders import FILES, PROJECT, zipped

# Flower 1.41 builds bundles with a pattern class that its dependency has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")


def refused(fab: bytes) -> str:
    with pytest.raises(Refusal) as refusal:
        bundle.inspect(fab)
    return refusal.value.code


def with_entry(name: str, data: bytes = b"x", *, mode: int = 0o644 | stat.S_IFREG) -> bytes:
    buffer = io.BytesIO(zipped(FILES))
    with zipfile.ZipFile(buffer, "a") as archive:
        entry = zipfile.ZipInfo("placeholder")
        entry.filename = name
        entry.external_attr = mode << 16
        archive.writestr(entry, data)
    return buffer.getvalue()


def test_a_flower_app_is_described() -> None:
    found = bundle.inspect(zipped(FILES))
    assert (found.name, found.version, found.publisher) == ("tiny", "1.0.0", "tests")
    assert [file.path for file in found.files] == list(FILES)
    assert found.default_config == {"local-steps": 10, "learning-rate": 0.1}
    assert (found.parameters[0].min, found.parameters[0].max) == (1, 100)
    assert found.declaration.initial == "query.initial"


@pytest.mark.parametrize(
    "name",
    [
        "../up.py",
        "/root.py",
        "a/../../b.py",
        "a\\b.py",
        "C:/x.py",
        "a//b.py",
        "./a.py",
        "tiny/\u202egnp.py",
        "a\nb.py",
        "a/",
    ],
)
def test_names_that_lead_elsewhere_or_deceive_are_refused(name: str) -> None:
    assert refused(with_entry(name)) == "E_BUNDLE_PATH"


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["tiny/client.py", "TINY/client.py"])
def test_doubled_names_are_refused(name: str) -> None:
    assert refused(with_entry(name)) == "E_BUNDLE_PATH"


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o644, stat.S_IFREG | 0o4755])
def test_links_and_special_files_are_refused(mode: int) -> None:
    assert refused(with_entry("tiny/link", mode=mode)) == "E_BUNDLE_PATH"


def test_an_encrypted_file_is_refused() -> None:
    fab = bytearray(zipped(FILES))
    central = fab.rindex(b"PK\x01\x02")
    fab[central + 8] |= 1
    assert refused(bytes(fab)) == "E_BUNDLE_PATH"


def test_a_bomb_is_refused() -> None:
    bomb = zipped({**FILES, "zeros.py": bytes(30_000_000)}, compression=zipfile.ZIP_DEFLATED)
    assert refused(bomb) == "E_BUNDLE_PATH"
    assert (
        refused(zipped({**FILES, "big.txt": bytes(70_000_000)}, compression=zipfile.ZIP_DEFLATED))
        == "E_BUNDLE_TOO_LARGE"
    )


def test_too_many_bytes_are_refused() -> None:
    assert refused(bytes(bundle.MAX_BYTES + 1)) == "E_BUNDLE_TOO_LARGE"


@pytest.mark.parametrize("name", ["w.pkl", "w.PT", "w.pth", "w.joblib", "w.npy", "data.txt"])
def test_pickles_are_refused_by_name_and_by_content(name: str) -> None:
    assert refused(with_entry(name, b"\x80\x04K\x01.")) == "E_BUNDLE_PICKLE"


@pytest.mark.parametrize("prefix", [b"", b"#!/bin/sh\n"])
def test_what_is_no_zip_is_refused(prefix: bytes) -> None:
    assert refused(prefix + b"nothing") == "E_BUNDLE_NOT_ZIP"


def test_a_zip_behind_something_else_is_refused() -> None:
    assert refused(b"#!/bin/sh\n" + zipped(FILES)) == "E_BUNDLE_NOT_ZIP"


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": b""},
        {"pyproject.toml": b"not toml ["},
        {"pyproject.toml": b"[project]\nname='x'\n"},
        {"pyproject.toml": PROJECT.encode()},
    ],
)
def test_what_is_no_flower_app_is_refused(files: dict[str, bytes]) -> None:
    assert refused(zipped(files)) == "E_BUNDLE_NOT_FLOWER"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('initial = "query.initial"', 'initial = "train"'),
        ('initial = "query.initial"', 'surprise = "x"'),
        ("max = 100", "max = 5"),
        ("min = 1", "min = nan"),
        ("min = 1", 'min = "1"'),
        ("min = 1", "unknown = 1"),
        (
            'initial = "query.initial"\n\n[tool.fedstudy.parameters.local-steps]\nmin = 1\nmax = 100',
            "parameters = [[1]]",
        ),
        ("[tool.fedstudy.parameters.local-steps]\nmin = 1\nmax = 100", "[tool.fedstudy.parameters]\nlocal-steps = 3"),
        (
            '[tool.fedstudy]\ninitial = "query.initial"\n\n[tool.fedstudy.parameters.local-steps]',
            "[tool]\nfedstudy = 3\n[x]",
        ),
        ("learning-rate = 0.1", "learning-rate = [1]"),
        ("learning-rate = 0.1", "learning-rate = 1979-05-27"),
        ('initial = "query.initial"', 'headline = "auc"\nmetrics = {loss = "mean"}'),
        ('initial = "query.initial"', f'metrics = {{{"m" * 81} = "mean"}}'),
        ('initial = "query.initial"', 'metrics = {loss = "median"}'),
        ("[tool.fedstudy.parameters.local-steps]", "[tool.fedstudy.parameters.unknown]"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(old: str, new: str) -> None:
    files = {**FILES, "pyproject.toml": PROJECT.replace(old, new).encode()}
    assert refused(zipped(files)) == "E_BUNDLE_DECLARATION"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('dependencies = ["flwr>=1.41.0"]', "dependencies = 5"),
        ('dependencies = ["flwr>=1.41.0"]', 'dependencies = "flwr"'),
        ('dependencies = ["flwr>=1.41.0"]', "dependencies = [1]"),
        ('version = "1.0.0"', "version = 1"),
        ('version = "1.0.0"', ""),
        ('name = "tiny"', 'name = " "'),
        ('publisher = "tests"', ""),
        ('serverapp = "tiny.server:app"', ""),
        ('serverapp = "tiny.server:app"', 'serverapp = "tiny.elsewhere:app"'),
        ('clientapp = "tiny.client:app"', 'clientapp = "tiny.client"'),
        ('clientapp = "tiny.client:app"', "clientapp = 3"),
        ('clientapp = "tiny.client:app"', 'clientapp = "tiny.client:app"\nagentapp = "tiny.client:app"'),
        ("[tool.flwr.app]", "[tool.other]"),
    ],
)
def test_a_pyproject_of_something_else_is_refused(old: str, new: str) -> None:
    files = {**FILES, "pyproject.toml": PROJECT.replace(old, new).encode()}
    assert refused(zipped(files)) == "E_BUNDLE_NOT_FLOWER"


def test_a_list_of_files_that_says_otherwise_is_refused() -> None:
    built = bundle.build({**FILES, "LICENSE": b"Apache-2.0"})
    with zipfile.ZipFile(io.BytesIO(built)) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert bundle.inspect(zipped(held)).name == "tiny"
    for changed in ({"tiny/client.py": b"changed"}, {"tiny/more.py": b""}, {".info/CONTENT": b""}):
        assert refused(zipped({**held, **changed})) == "E_BUNDLE_NOT_FLOWER"


def test_every_flipped_byte_changes_the_hash_or_is_refused() -> None:
    fab = zipped(FILES)
    sound = bundle.inspect(fab).sha256
    for position in range(len(fab)):
        altered = bytearray(fab)
        altered[position] ^= 1
        try:
            assert bundle.inspect(bytes(altered)).sha256 != sound
        except Refusal:
            continue


def test_unpacking_writes_read_only_files_into_a_fresh_folder(tmp_path: Path) -> None:
    target = tmp_path / "app"
    bundle.unpack(zipped(FILES), target)
    assert (target / "tiny/client.py").read_bytes() == FILES["tiny/client.py"]
    assert stat.S_IMODE((target / "tiny/client.py").stat().st_mode) == 0o400
    assert stat.S_IMODE((target / "tiny").stat().st_mode) == stat.S_IMODE(target.stat().st_mode) == 0o500
    with pytest.raises(FileExistsError):
        bundle.unpack(zipped(FILES), target)


def test_building_is_deterministic_and_tells_what_is_left_out(tmp_path: Path) -> None:
    files = {**FILES, "pyproject.toml": PROJECT.encode(), "LICENSE": b"Apache-2.0", "weights.bin": b"0"}
    first, second = bundle.build(files), bundle.build(dict(reversed(files.items())))
    assert first == second
    assert bundle.dropped_files(files, first) == ["weights.bin"]
    assert bundle.read_file(first, "tiny/client.py") == FILES["tiny/client.py"]


def test_sources_in_one_top_folder_are_taken_as_they_are() -> None:
    inner = bundle.source_from_zip(zipped({f"app-main/{path}": data for path, data in FILES.items()}))
    assert set(inner) == set(FILES)


def test_a_folder_is_built_like_its_files_without_what_machines_left_there(tmp_path: Path) -> None:
    for path, data in {**FILES, "tiny/__pycache__/client.pyc": b"\0"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    (tmp_path / "tiny/outside.py").symlink_to("/etc/passwd")
    built = bundle.build(tmp_path)
    assert built == bundle.build(FILES)
    assert [file.path for file in bundle.inspect(built).files] == [*FILES, ".info/CONTENT"]


def test_what_a_person_asked_for_and_is_not_there_is_said() -> None:
    with pytest.raises(Refusal) as refusal:
        bundle.read_file(zipped(FILES), "tiny/other.py")
    assert (refusal.value.code, refusal.value.status) == ("E_BUNDLE_PATH", 404)


@pytest.mark.parametrize("project", [b"", b"[project]\nname='x'", b"\xff", PROJECT.replace("tiny", "a b", 1).encode()])
def test_what_flower_cannot_build_is_said(project: bytes) -> None:
    with pytest.raises(Refusal, match="E_BUNDLE_NOT_FLOWER"):
        bundle.build({**FILES, "pyproject.toml": project})


def test_a_bundle_that_is_too_large_is_not_built() -> None:
    noise = b"".join(b"x%d = %d\n" % (number, number**9) for number in range(700_000))
    with pytest.raises(Refusal):
        bundle.build({**FILES, "tiny/noise.py": noise})

"""The set-up script: what it checks, what it says, and when it has nothing to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from devstack import bootstrap

ROOT = Path(__file__).resolve().parents[2]


def test_an_old_python_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)
    with pytest.raises(bootstrap.CannotSetUp, match=r"this is 3\.9\.\n  What to do: install"):
        bootstrap.suitable_python()


def test_a_newer_python_on_the_path_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 14, 0))
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: f"/bin/{name}" if name == "python3.12" else None)
    assert bootstrap.suitable_python() == "/bin/python3.12"


def test_nothing_to_do_when_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bootstrap, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(bootstrap, "install", pytest.fail)
    bootstrap.remember(bootstrap.fingerprint(bootstrap.suitable_python()), 1.0)
    assert bootstrap.main() == 0


def test_a_half_written_record_counts_as_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bootstrap, "RECORD", tmp_path / "record.json")
    bootstrap.RECORD.write_text('{"fingerprint": ')
    assert bootstrap.installed() == ""


def test_a_failure_shows_its_cause_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "installed", lambda: "")
    monkeypatch.setattr(
        bootstrap,
        "make_environment",
        lambda _: bootstrap.run([sys.executable, "-c", "raise SystemExit('no ensurepip')"], "  What to do: this"),
    )
    assert bootstrap.main() == 1
    assert "no ensurepip\n\n  What to do: this" in capsys.readouterr().err


def test_an_environment_without_pip_is_made_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / "venv")
    monkeypatch.setattr(bootstrap, "PYTHON", tmp_path / "venv" / "bin" / "python")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bootstrap.VENV)], check=True)
    (bootstrap.VENV / "left-over").touch()
    made: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "run", lambda command, remedy: made.append(command))

    bootstrap.make_environment(sys.executable)

    assert made == [[sys.executable, "-m", "venv", str(bootstrap.VENV)]]
    assert not bootstrap.VENV.exists()


def test_a_whole_environment_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / "venv")
    monkeypatch.setattr(bootstrap, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(bootstrap, "run", lambda command, remedy: pytest.fail(str(command)))
    bootstrap.make_environment(sys.executable)


def test_it_needs_nothing_installed() -> None:
    code = f"import runpy; runpy.run_path({str(ROOT / 'platform/devstack/bootstrap.py')!r}, run_name='looked at')"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


def test_every_line_of_the_lock_has_a_hash_and_no_address() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    names = [line for line in lines if line[:1].isalnum()]
    assert len(names) > 100
    for line in names:
        assert "==" in line, line
        assert lines[lines.index(line) + 1].strip().startswith("--hash=sha256:"), line
    assert "://" not in "\n".join(lines)
    assert not any(line.startswith(("torch==", "nvidia-")) for line in names)


def test_uv_looks_where_pip_is_told_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    told = (
        "global.index-url='https://mirror.example/simple'\n:env:.cert='/etc/ca.pem'\nglobal.timeout='60'\n"
        r"global.extra-index-url='\nhttps://a.example\nhttps://b.example'"
        "\n:env:.find-links='/one /two'"
    )
    monkeypatch.setattr(bootstrap, "answer", lambda command: told)
    assert bootstrap.settings_for_uv() == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "UV_INDEX": "https://a.example https://b.example",
        "UV_FIND_LINKS": "/one,/two",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_pip_installs_what_uv_cannot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "UV", [str(tmp_path / "no-uv")])
    monkeypatch.setattr(bootstrap, "run", lambda command, remedy: ran.append(command))
    bootstrap.install_packages(["torch"], "  What to do: this")
    assert ran == [[*bootstrap.PIP, "torch"]]

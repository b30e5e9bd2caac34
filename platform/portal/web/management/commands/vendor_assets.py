"""Fetch or check the browser assets under ``static/vendor``."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

SOURCE_MAP = b"sourceMappingURL="


class Command(BaseCommand):
    """``packages.json`` says what is wanted, ``vendor.lock.json`` what was fetched, with hashes."""

    help = "Fetch the pinned browser assets with `npm pack`, or verify them with --check."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="only compare the files with the lock")

    def handle(self, *args: Any, **options: Any) -> None:
        root = Path(settings.BASE_DIR) / "static" / "vendor"
        if options["check"]:
            self._check(root)
        else:
            self._fetch(root)

    def _check(self, root: Path) -> None:
        problems = check(root)
        if problems:
            raise CommandError("\n".join(problems))
        self.stdout.write("Every vendored file matches vendor.lock.json.")

    def _fetch(self, root: Path) -> None:
        wanted: dict[str, Any] = json.loads((root / "packages.json").read_text())
        entries = [fetch(root, name, spec) for name, spec in wanted.items()]
        (root / "vendor.lock.json").write_text(json.dumps({"packages": entries}, indent=2) + "\n")
        self.stdout.write(f"Fetched {len(entries)} packages.")


def folder_of(name: str) -> str:
    """The folder a package's files go to: ``@scope/name`` becomes ``name``."""
    return name.rpartition("/")[2]


def fetch(root: Path, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Download one package, write its wanted files, and return its lock entry."""
    with tempfile.TemporaryDirectory() as temporary:
        done = subprocess.run(
            ["npm", "pack", "--json", "--pack-destination", temporary, f"{name}@{spec['version']}"],  # noqa: S607
            check=True,
            capture_output=True,
        )
        packed = json.loads(done.stdout)[0]
        tarball = next(Path(temporary).glob("*.tgz"))
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
        if integrity != packed["integrity"]:
            raise CommandError(f"{name}: the downloaded archive does not match its integrity value.")
        files = write_files(tarball, root / folder_of(name), spec["files"])
    return {
        "name": name,
        "version": spec["version"],
        "licence": spec["licence"],
        "integrity": integrity,
        "folder": folder_of(name),
        "files": files,
    }


def write_files(tarball: Path, folder: Path, wanted: dict[str, str]) -> list[dict[str, str]]:
    """Copy the wanted members; references to source maps, which are not shipped, are dropped."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    with tarfile.open(tarball) as archive:
        for source, target in wanted.items():
            member = archive.extractfile(f"package/{source}")
            if member is None:
                raise CommandError(f"{tarball.name} has no file {source}.")
            content = member.read()
            if target.endswith((".css", ".js")):
                lines = [line for line in content.splitlines() if SOURCE_MAP not in line]
                content = b"\n".join(lines) + b"\n"
            (folder / target).write_bytes(content)
            entries.append({"from": source, "file": target, "sha256": hashlib.sha256(content).hexdigest()})
    return entries


def check(root: Path) -> list[str]:
    """Sentences about files that are missing, altered or not in the lock."""
    lock = json.loads((root / "vendor.lock.json").read_text())
    problems: list[str] = []
    known = {root / "packages.json", root / "vendor.lock.json"}
    for package in lock["packages"]:
        for entry in package["files"]:
            path = root / package["folder"] / entry["file"]
            known.add(path)
            if not path.is_file():
                problems.append(f"{path.name} of {package['name']} is missing.")
            elif hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
                problems.append(f"{path.name} of {package['name']} differs from the lock.")
    for path in root.rglob("*"):
        if path.is_file() and path not in known:
            problems.append(f"{path.relative_to(root)} is not in the lock.")
    return problems

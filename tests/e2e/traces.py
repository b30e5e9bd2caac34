"""Looking for a value wherever a stack keeps anything, and in a backup, made and restored as the documentation says."""

from __future__ import annotations

import base64
import hashlib
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import redis
from psycopg import sql

from devstack.nodes import NodeHome
from devstack.postgres import find_binaries
from devstack.stack import Stack

RESTORED = "restored"
SECRET = b"AGE-SECRET-KEY-1"


def marks(number: str) -> dict[str, bytes]:
    """How a number may be written down: as text, as 8 bytes in both orders, and these as PostgreSQL dumps them."""
    raw = struct.pack("<d", float(number))
    return {
        "text": number.encode(),
        "bytes": raw,
        "bytes, reversed": raw[::-1],
        "hex": raw.hex().encode(),
        "hex, reversed": raw[::-1].hex().encode(),
        "text in hex": number.encode().hex().encode(),
        "base64": base64.b64encode(number.encode())[:12],
        "bytes in base64": base64.b64encode(raw)[:8],
    }


def found_in(content: bytes, number: str) -> set[str]:
    """The ways in which some content has a number."""
    return {name for name, mark in marks(number).items() if mark in content}


def traces(stack: Stack, number: str, backup: Path) -> dict[str, set[str]]:
    """The places that have a number, with how: all that this stack writes, but for what lies in the hospitals."""
    places = {
        "Valkey": valkey_dump(stack),
        **{str(path): path.read_bytes() for path in files(backup)},
        **{str(path): read(path) for path in files(stack.folders.state) if "hospitals" not in path.parts},
        **{f"the portal's environment: {name}": value.encode() for name, value in stack.environment.items()},
    }
    found = {place: found_in(content, number) for place, content in places.items()}
    return {place: how for place, how in found.items() if how}


def files(folder: Path) -> Iterator[Path]:
    """Every file below a folder."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def read(path: Path) -> bytes:
    """What a file holds; nothing where it is gone meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:  # PostgreSQL and the workers tidy up meanwhile
        return b""


def valkey_dump(stack: Stack) -> bytes:
    """Every key with its value, as Valkey itself would write it to a disk."""
    with redis.Redis.from_url(stack.services.valkey.url) as valkey:
        valkey.config_set("rdbcompression", "no")
        return b"".join(key + (valkey.dump(key) or b"") for key in valkey.scan_iter())


def back_up(stack: Stack, folder: Path) -> Path:
    """Database, then the folder of data, then the secrets: docs/operations.md, Back up."""
    folder.mkdir()
    dump = [str(find_binaries() / "pg_dump"), "--no-owner", "--no-privileges", "--file", str(folder / "database.sql")]
    subprocess.run([*dump, stack.services.postgres.superuser_url], check=True)
    shutil.copytree(stack.folders.data, folder / "data")
    shutil.copytree(stack.folders.state / "log", folder / "secrets")
    (folder / "secrets" / "secret-key").write_text(stack.environment["FEDSTUDY_SECRET_KEY"])
    return folder


def restore(stack: Stack, backup: Path, folder: Path) -> dict[str, bytes]:
    """Restore a backup into a database and a folder of its own; the pooled objects there, by their sites' names."""
    shutil.copytree(backup, folder)
    postgres = stack.services.postgres
    with psycopg.connect(postgres.superuser_url, autocommit=True) as database:
        database.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(RESTORED)))
    there = postgres.superuser_url.replace(f"/{postgres.superuser_url.split('/')[-1].split('?')[0]}?", f"/{RESTORED}?")
    load = [str(find_binaries() / "psql"), "--quiet", "--no-psqlrc", "--output", "/dev/null", "--file"]
    subprocess.run([*load, str(folder / "database.sql"), there], check=True, capture_output=True)
    by_hash = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in files(folder / "data" / "pool")}
    with psycopg.connect(there) as database:
        rows = database.execute(
            "SELECT site.name, item.sha256 FROM pooling_pooledobject item"
            " JOIN pooling_poolconsent consent ON consent.id = item.consent_id"
            " JOIN accounts_site site ON site.id = consent.site_id WHERE item.state = 'complete'"
        ).fetchall()
    return {name: by_hash[sha256].read_bytes() for name, sha256 in rows}


def back_up_node(node: NodeHome, file: Path) -> Path:
    """A node's home as a tool takes it that leaves out what is marked: docs/pooling.md, Run a pool node."""
    words = ["tar", "--create", "--exclude-caches", f"--file={file}", f"--directory={node.home}", "."]
    assert subprocess.run(words, check=False).returncode in (0, 1), "1: a file changed meanwhile"
    return file


def restore_node(backup: Path, folder: Path) -> Path:
    """The home that a backup makes."""
    folder.mkdir()
    subprocess.run(["tar", "--extract", f"--file={backup}", f"--directory={folder}"], check=True)
    return folder

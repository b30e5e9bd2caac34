"""Dossiers without a portal: a few files, an export, the log's entry of them, and what signs the whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core import dsse
from fedstudy_core.keys import public_text
from fedstudy_core.transparency.leaves import BoundText, Leaf
from fedstudy_core.transparency.tree import inclusion_spans, leaf_hash, root_of
from tests.verify import exports
from tests.verify.exports import leaf_of, write_export

RUN = "5d0c6a3e-0000-4000-8000-000000000001"
FORMAT, TYPE = "fedstudy-dossier-1", "application/vnd.fedstudy.dossier.v1+json"
CONTENTS = {
    "dossier.html": "<!DOCTYPE html>\n<title>Dossier</title>\n",
    "ro-crate-metadata.json": "{}\n",
    "run/rounds.json": '[{"number": 0}]\n',
    "script/source/tiny/größe.py": '"""Tiny."""\n',
}
KEY = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)


def write_dossier(
    folder: Path,
    *,
    events: int = 40,
    at: int = 23,
    named: Ed25519PrivateKey = KEY,
    signer: Ed25519PrivateKey = KEY,
    action: str = "runs:dossier:exported",
) -> None:
    """A dossier whose entry is event `at` of a log of so many; `named` is the entry's key, `signer` signs."""
    for name, text in CONTENTS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    contents = sha256(exports._json({"files": _digests(folder, CONTENTS), "format": FORMAT})).hexdigest()
    detail = exports._json(
        {"contents": contents, "files": len(CONTENTS), "key": public_text(named.public_key())}
    ).decode()

    def leaf(number: int) -> Leaf:
        made = leaf_of(number)
        if number != at:
            return made
        told = BoundText(made.detail.salt, detail.rstrip("\n"))
        return replace(made, action=action, object_type="run", object_id=RUN, detail=told)

    write_export(folder / "log", events, hidden={at, at + 1}, earlier=(10,), leaf=leaf)
    _write_entry(folder, [leaf(number) for number in range(events)], at)
    sign(folder, signer)


def _write_entry(folder: Path, leaves: list[Leaf], at: int) -> None:
    hashes = [leaf_hash(leaf.body()) for leaf in leaves]
    proof = [root_of(hashes[first:last]).hex() for first, last in inclusion_spans(at, len(leaves))]
    line = exports._line(at, hashes[at], leaves[at], leaves[at].body())
    (folder / "entry.jsonl").write_bytes(line + exports._json(proof))


def sign(folder: Path, signer: Ed25519PrivateKey = KEY) -> None:
    """List the folder's files as they are, and sign the list."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    listed = _digests(folder, [name for name in names if name not in ("manifest.json", "signature.json")])
    manifest = exports._json({"files": listed, "format": FORMAT})
    (folder / "manifest.json").write_bytes(manifest)
    signed = {"format": FORMAT, "manifest": sha256(manifest).hexdigest(), "run": RUN}
    (folder / "signature.json").write_bytes(dsse.sign(TYPE, exports._json(signed).rstrip(b"\n"), [signer]))


def _digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    return {name: sha256((folder / name).read_bytes()).hexdigest() for name in names}


def plain_files(folder: Path) -> list[Path]:
    """Every file, in the order of their names."""
    return sorted(path for path in folder.rglob("*") if path.is_file())

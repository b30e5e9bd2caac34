"""A run's dossier: every file as the signed manifest has it, and the whole bound by the log's own entry of it.

Whoever made it wrote into the log which contents it has and by which key its manifest is signed (`entry.jsonl`, with
the proof that it is in the log that `log/checkpoint` signs). So nothing need be trusted but the log's key.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import stat
import zipfile
from binascii import unhexlify
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fedstudy_verify.documents import MOST_REASONS
from fedstudy_verify.export import DAMAGED, PACKED, Missing, content, opened
from fedstudy_verify.notes import Checkpoint, Unreadable
from fedstudy_verify.rows import EVENT, Bad, Rows
from fedstudy_verify.tables import Tables, compare
from fedstudy_verify.tree import root_above
from fedstudy_verify.verifying import Trust, Verdict, verify

FORMAT = "fedstudy-dossier-1"
PAYLOAD_TYPE = "application/vnd.fedstudy.dossier.v1+json"
CRATE, ENTRY, MANIFEST, SIGNATURE = "ro-crate-metadata.json", "entry.jsonl", "manifest.json", "signature.json"
LOG = "log"
_ACTION = "runs:dossier:exported"
_PROOF = re.compile(r"[0-9a-f]{64}")
_MOST, _PIECE = 4 << 30, 1 << 20


@dataclass
class DossierVerdict(Verdict):
    """What came out of a dossier; of its part of the log as of an export, and in `checks` "tables", whether what the
    dossier itself tells of rounds, approvals and consents is what that part of the log tells, and what was signed.

    Attributes:
        run: whose dossier it is.
        files: that are as the manifest has them.
        entry: position of the log's entry of this dossier; -1 where there is none that holds.
    """

    run: str = ""
    files: int = 0
    entry: int = -1


def is_dossier(path: Path) -> bool:
    """Whether a folder or zip file is meant as a dossier, whole or not."""
    marks = (CRATE, ENTRY, SIGNATURE)
    if path.is_dir():
        return any((path / name).exists() for name in (*marks, LOG))
    try:
        with zipfile.ZipFile(path) as archive:
            return not set(marks).isdisjoint(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def verify_dossier(path: Path, trust: Trust | None = None) -> DossierVerdict:
    """Verify a folder or zip file."""
    if path.is_dir():
        return _verify(path, trust or Trust())
    with TemporaryDirectory(prefix="fedstudy-dossier-") as folder:
        try:
            _unpack(path, Path(folder))
        except Missing as error:
            return DossierVerdict(problems=[f"{error}."])
        return _verify(Path(folder), trust or Trust())


def _verify(folder: Path, trust: Trust) -> DossierVerdict:
    told = verify(folder / LOG, trust) if (folder / LOG).is_dir() else Verdict(problems=[f"{LOG}/ is gone."])
    verdict = DossierVerdict(**vars(told))
    verdict.problems = []
    try:
        manifest = _manifest(folder)
        verdict.problems += _compared(folder, manifest, verdict)
        _bound(folder, manifest, verdict)
        if not verdict.problems and not told.problems:
            _agree(compare(folder, verdict.run, manifest), verdict)
    except (Missing, Unreadable, Bad) as error:
        verdict.problems.append(f"{error}.")
    verdict.problems += [f"{LOG}: {problem}" for problem in told.problems]
    verdict.ok = not verdict.problems
    return verdict


def _agree(tables: Tables, verdict: DossierVerdict) -> None:
    """Note how the dossier's tables fit to its part of the log."""
    verdict.shown["tables"], verdict.checked["tables"] = tables.shown, tables.checked
    held = "ok" if tables.shown == tables.checked else "not checked"
    verdict.checks["tables"] = "failed" if tables.problems else held if tables.shown else "none"
    verdict.unchecked = [*verdict.unchecked, *tables.unchecked][:MOST_REASONS]
    verdict.problems += tables.problems


def _manifest(folder: Path) -> Mapping[str, str]:
    told = _json(MANIFEST, content(opened(folder), MANIFEST))
    files = told.get("files") if isinstance(told, dict) and set(told) == {"files", "format"} else None
    if not isinstance(files, dict) or told["format"] != FORMAT:
        raise Unreadable(f"{MANIFEST} is no dossier's list of files")
    return {str(name): str(digest) for name, digest in files.items()}


def _compared(folder: Path, manifest: Mapping[str, str], verdict: DossierVerdict) -> Iterator[str]:
    """What is not as the manifest has it, by name."""
    found = dict(_walk(folder))
    for name in sorted({*manifest, *found} - {MANIFEST, SIGNATURE}):
        path, shown = found.get(name), name.encode("utf-8", "backslashreplace").decode()
        if path is None:
            yield f"{shown} is gone."
        elif name not in manifest:
            yield f"{shown} was added."
        elif not stat.S_ISREG(path.lstat().st_mode):
            yield f"{shown} is no plain file."
        elif _digest(path) != manifest[name]:
            yield f"{shown} was altered."
        else:
            verdict.files += 1


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """Everything that is no folder, and folders with nothing in them; by the name that a manifest has."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        links = [name for name in folders if (here / name).is_symlink()]
        for name in (*files, *links):
            yield (here / name).relative_to(folder).as_posix(), here / name
        if here != folder and not folders and not files:
            yield f"{here.relative_to(folder).as_posix()}/", here


def _digest(path: Path) -> str:
    digest = sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest()


def _bound(folder: Path, manifest: Mapping[str, str], verdict: DossierVerdict) -> None:
    """Hold manifest and contents to the log's entry. Raises Missing, Unreadable, Bad."""
    position, run, facts = _entry(folder)
    signed = _json(SIGNATURE, _signed(content(opened(folder), SIGNATURE), facts["key"]), "")
    digest = sha256(content(opened(folder), MANIFEST)).hexdigest()
    if signed != {"format": FORMAT, "manifest": digest, "run": run}:
        raise Unreadable(f"{SIGNATURE} is of another {MANIFEST}")
    contents = {name: told for name, told in manifest.items() if name != ENTRY and not name.startswith(f"{LOG}/")}
    if facts["contents"] != sha256(_written({"files": contents, "format": FORMAT}).encode()).hexdigest():
        raise Unreadable(f"the log's entry of this dossier (event {position}) is of other contents")
    verdict.run, verdict.entry = run, position


def _signed(envelope: bytes, key: str) -> bytes:
    """What an envelope (DSSE) holds that this key alone signed; the key is Base64. Raises Unreadable."""
    told = _json(SIGNATURE, envelope, "")
    try:
        payload, public = _decoded(told["payload"]), _decoded(key)
        (signature,) = told["signatures"]
        whole = {"payload": told["payload"], "payloadType": PAYLOAD_TYPE, "signatures": [signature]}
        if told != whole or set(signature) != {"keyid", "sig"} or signature["keyid"] != sha256(public).hexdigest():
            raise Unreadable(f"{SIGNATURE} is not by the key that the log names")
        signed = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
        Ed25519PublicKey.from_public_bytes(public).verify(_decoded(signature["sig"]), signed)
    except (KeyError, TypeError, ValueError, InvalidSignature) as error:
        raise Unreadable(f"{SIGNATURE} does not hold") from error
    return payload


def _decoded(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("not the one spelling")
    return data


def _entry(folder: Path) -> tuple[int, str, dict[str, str]]:
    """The log's entry of the dossier, proved: its position, the run, and what it says."""
    files = opened(folder)
    line, gap, rest = content(files, ENTRY).partition(b"\n")
    found = EVENT.fullmatch(line + gap)
    if found is None:
        raise Unreadable(f"{ENTRY} is no entry of a log")
    position, leaf = int(found[1]), found["leaf"]
    ((hash_, _),) = Rows(position).read(line + gap)
    proof = _json(ENTRY, rest)
    if not isinstance(proof, list) or not all(isinstance(item, str) and _PROOF.fullmatch(item) for item in proof):
        raise Unreadable(f"{ENTRY} has no proof")
    last = Checkpoint.read(content(opened(folder / LOG), "checkpoint").decode("utf-8", "replace"))
    if root_above(position, last.size, hash_, [unhexlify(item) for item in proof]) != last.root:
        raise Unreadable(f"the log's entry of this dossier (event {position}) is not in the log")
    return position, *_told(json.loads(leaf), json.loads(json.loads(found[6])))


def _told(leaf: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The run, and what a leaf that is in the log says of its dossier."""
    if leaf.get("action") != _ACTION or leaf["object"]["type"] != "run" or not {"contents", "key"} <= set(facts):
        raise Unreadable(f"{ENTRY} is no entry of a dossier")
    return str(leaf["object"]["id"]), {name: str(facts[name]) for name in ("contents", "key")}


def _unpack(path: Path, folder: Path) -> None:
    """The files of a zip file. Raises Missing for one that is damaged, or would write elsewhere."""
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_strange([item.filename for item in archive.infolist()])
            if sum(item.file_size for item in archive.infolist()) > _MOST:
                raise Missing("the dossier is too large")
            if any(item.compress_type not in PACKED for item in archive.infolist()):
                raise Missing("the zip file is packed in a way that the portal does not use")
            archive.extractall(folder)
    except DAMAGED as error:
        is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        raise Missing("there is no room to unpack the zip file" if is_full else "the zip file is damaged") from error


def _refuse_strange(names: Sequence[str]) -> None:
    for name in names:
        if name.startswith("/") or "\\" in name or ":" in name or not {"", ".", ".."}.isdisjoint(name.split("/")):
            raise Missing(f"the zip file has a strange name ({name!a})")
    if len(set(names)) != len(names):
        raise Missing("the zip file has a name twice")


def _json(name: str, data: bytes, end: str = "\n") -> Any:
    """A value that is written in its one way."""
    try:
        value = json.loads(data)
        if (_written(value, end)).encode() == data:
            return value
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{name} is not JSON") from error
    raise Unreadable(f"{name} is not written in its one way")


def _written(value: Any, end: str = "\n") -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + end

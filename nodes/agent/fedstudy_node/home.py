"""The node's home folder: its settings, its keys, and what it trusts. Readable by its owner only."""

import fcntl
import json
import os
import secrets
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import tomli_w
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedstudy_core import keys
from fedstudy_core.codes import CODES
from fedstudy_core.errors import Refusal
from fedstudy_core.naming import check_node_name
from fedstudy_node.errors import NodeError

RESERVE = 64 * 1024**2  # bytes of disk that no script's work may take


def now_text() -> str:
    """The present moment as text: ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_private(path: Path, content: bytes) -> None:
    """Replace a file in one step that outlasts a power cut; only its owner may read it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise NodeError("E_HOME", f"{path} cannot be written: {error.strerror}.") from error


def _sync(folder: Path) -> None:
    """Make a rename in the folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Settings:
    """What node.toml holds. Empty texts are things that enrolment fills in; `sandbox` is the strongest level to use.

    Attributes:
        preload: whether a process holds the packages of approved scripts, to be forked for each run (`preloading`).
        page_host, page_port: where the node's own page is; port 0 for none.
        page_listen: the address on which it is served; "" for loopback at localhost and every address elsewhere.
        page_cert, page_key: PEM files of its certificate; needed for any host but localhost.
        pool_memory: where a pool node has rows in plain; a file system that is memory (tmpfs).
    """

    name: str
    created_at: str
    node: str = ""
    site: str = ""
    site_name: str = ""
    portal: str = ""
    superlink: str = ""
    words: str = ""
    approval_key: str = ""
    torch_threads: int = 1
    preload: bool = True
    sandbox: str = ""
    page_host: str = "localhost"
    page_port: int = 0
    page_listen: str = ""
    page_cert: str = ""
    page_key: str = ""
    pool_memory: str = "/dev/shm"  # noqa: S108 - a folder of its own in it, which nobody else may read

    @property
    def is_enrolled(self) -> bool:
        """Whether a portal knows this node."""
        return bool(self.node)


@dataclass(frozen=True)
class Home:
    """Paths and files of one node."""

    path: Path

    @property
    def ledger_path(self) -> Path:
        """The database of rounds, replies and of what left."""
        return self.path / "ledger.sqlite"

    @property
    def log_path(self) -> Path:
        """The agent's log."""
        return self.path / "agent.log"

    @property
    def datasets_path(self) -> Path:
        """One file a dataset."""
        return self.path / "datasets"

    @property
    def approvals_path(self) -> Path:
        """One file a signed statement."""
        return self.path / "approvals"

    @property
    def bundles_path(self) -> Path:
        """Scripts that were approved here, kept to show what changed since."""
        return self.path / "bundles"

    @property
    def work_path(self) -> Path:
        """Unpacked scripts of runs under way; removed at the end of each."""
        return self.path / "work"

    @property
    def status_path(self) -> Path:
        """What the running agent says about itself."""
        return self.path / "status.json"

    @classmethod
    def create(cls, path: Path, *, name: str) -> "Home":
        """Make a home with fresh keys of the node's own; who may approve is pinned by `Trust`.

        Raises:
            Invalid: E_INVALID for a name that the portal does not take.
            NodeError: E_HOME.
        """
        check_node_name(name)
        if (path / "node.toml").exists():
            raise NodeError("E_HOME", f"{path} is the home of a node already.")
        home = cls(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o700)
            for folder in ("keys", "datasets", "approvals", "bundles", "work"):
                (path / folder).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise NodeError("E_HOME", f"{path} cannot be made: {error.strerror}.") from error
        write_private(path / "keys/identity.pem", keys.to_pem(keys.generate(), None))
        write_private(path / "keys/flower.pem", flower_pem(ec.generate_private_key(ec.SECP384R1())))
        write_private(path / "revoked.json", json.dumps({"epoch": 0, "statements": {}}).encode())
        home.save(Settings(name=name, created_at=now_text()))
        return home

    @classmethod
    def open(cls, path: Path) -> "Home":
        """Open an existing home. Raises NodeError (E_HOME) when there is none, or others may read it."""
        if not (path / "node.toml").is_file():
            raise NodeError("E_HOME", f"{path} is not a node's home: run `fedstudy-node init` first.")
        if path.stat().st_mode & 0o077:
            raise NodeError("E_HOME", f"{path} is open to other accounts: run `chmod -R go= {path}`.")
        return cls(path)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold what people decided (trust, revocations, control) while it is read, changed and written.

        The console, the page and the agent are several processes and threads: without this, of two changes at one
        time the later would undo the earlier. Not to be entered twice.
        """
        descriptor = os.open(self.path / "change.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def check_room(self, size: int) -> None:
        """Refuse work (E_DISK_FULL) unless the disk has twice `size` bytes left, beside what ledger and log need."""
        if shutil.disk_usage(self.path).free < RESERVE + 2 * size:
            raise Refusal("E_DISK_FULL", CODES["E_DISK_FULL"])

    def settings(self) -> Settings:
        """Read node.toml; what it does not know (a newer version's settings) is left alone."""
        try:
            raw = tomllib.loads((self.path / "node.toml").read_text("utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise NodeError("E_HOME", f"{self.path / 'node.toml'} cannot be read: {error}.") from error
        known = {item.name for item in fields(Settings)}
        return Settings(**{key: value for key, value in raw.items() if key in known})

    def enrolled(self) -> Settings:
        """Read node.toml of a node that a portal knows. Raises NodeError (E_HOME)."""
        settings = self.settings()
        if not settings.is_enrolled:
            raise NodeError("E_HOME", "This node is not enrolled: run `fedstudy-node enrol` first.")
        return settings

    def save(self, settings: Settings) -> None:
        """Write node.toml."""
        write_private(self.path / "node.toml", tomli_w.dumps(asdict(settings)).encode())

    def key_folder(self) -> Path:
        """The folder of the node's own keys: another one after each rotation (`fedstudy_node.rotation`)."""
        named = self.path / "keys/current"
        return self.path / "keys" / named.read_text("ascii").strip() if named.exists() else self.path / "keys"

    def key_stamp(self) -> int:
        """A number that changes when other keys come into use."""
        try:
            return (self.path / "keys/current").stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def identity_pem(self, folder: Path | None = None) -> bytes:
        """The file of the key that signs requests to the portal, and receipts."""
        return _read(folder or self.key_folder(), "identity.pem")

    def identity_key(self, folder: Path | None = None) -> Ed25519PrivateKey:
        """The key that signs requests to the portal, and receipts."""
        return keys.from_pem(self.identity_pem(folder), None)

    def flower_key(self, folder: Path | None = None) -> ec.EllipticCurvePrivateKey:
        """The key that the SuperLink knows the node by."""
        key = serialization.load_pem_private_key(_read(folder or self.key_folder(), "flower.pem"), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise NodeError("E_HOME", "flower.pem is not an elliptic-curve key.")
        return key

    def drawing_secret(self) -> bytes:
        """The secret from which bootstrap draws follow: it outlives rotations, or tests could not be compared."""
        file = self.path / "keys/drawing.key"
        if not file.exists():
            with self.changing():
                if not file.exists():
                    write_private(file, secrets.token_bytes(32))
        return _read(file.parent, file.name)

    def portal_ca(self) -> Path | None:
        """The portal's own certificate authority, where it has one."""
        file = self.path / "portal-ca.pem"
        return file if file.exists() else None

    def superlink_ca(self) -> str:
        """The certificate authority of the SuperLink (PEM), pinned at enrolment."""
        return _read(self.path, "superlink-ca.pem").decode("ascii")

    def remembered_flower_node(self) -> int | None:
        """The node's number at the SuperLink when it was last active there."""
        file = self.path / "flower-node"
        return int(file.read_text()) if file.exists() else None

    def remember_flower_node(self, node_id: int) -> None:
        """Keep the node's number, to deactivate it after a crash."""
        write_private(self.path / "flower-node", str(node_id).encode())


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise NodeError("E_HOME", f"{folder / name} cannot be read: {error.strerror}.") from error


def flower_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A Flower key as it lies in the home."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def flower_public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """The public part of a Flower key as PEM text, as the SuperLink registers it."""
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode("ascii")
    )

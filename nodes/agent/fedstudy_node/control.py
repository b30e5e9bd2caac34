"""What holds this node back: its own people (a pause, a veto), or the portal (which revoked or froze the node).

The people's word is a file in the node's home, because the console is another process than the agent; the agent looks
at it several times a second. The portal's word is kept in memory by whoever hears it.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from fedstudy_core.canonical import is_plain_text
from fedstudy_core.codes import CODES
from fedstudy_core.errors import Refusal
from fedstudy_node.errors import NodeError
from fedstudy_node.home import Home, now_text, write_private

LONGEST_REASON = 300


@dataclass(frozen=True)
class Word:
    """Something that a person decided: when, and why in their own words (the portal is told both)."""

    at: str
    reason: str


@dataclass(frozen=True)
class State:
    """What the site's people decided about this node's work."""

    paused: Word | None = None
    vetoes: Mapping[str, Word] = field(default_factory=lambda: MappingProxyType({}))


class Control:
    """Reads and writes the people's word, and keeps the portal's. May be used from any thread."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._path = home.path / "control.json"
        self._lock = threading.Lock()
        self._read: tuple[bytes | None, State] = (None, State())
        self._excluded = ""

    def state(self) -> State:
        """Return what the file says now. A file that cannot be read counts as a pause."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return State()
        except OSError:
            content = b"cannot be read"
        with self._lock:
            if self._read[0] != content:
                self._read = (content, _read(content))
            return self._read[1]

    def pause(self, reason: str) -> None:
        """Refuse every message from now on, until `resume`. Raises NodeError (E_STATE, E_INVALID)."""
        with self._home.changing():
            now = self.state()
            if now.paused is not None:
                raise NodeError("E_STATE", f"The node has been paused since {now.paused.at}.")
            self._save(State(_word(reason), now.vetoes))

    def resume(self) -> None:
        """Take messages again. Raises NodeError (E_STATE)."""
        with self._home.changing():
            now = self.state()
            if now.paused is None:
                raise NodeError("E_STATE", "The node is not paused.")
            self._save(State(None, now.vetoes))

    def veto(self, run: str, reason: str) -> None:
        """End this node's part in a run, for good. Raises NodeError (E_STATE, E_INVALID)."""
        with self._home.changing():
            now = self.state()
            if run in now.vetoes:
                raise NodeError("E_STATE", f"This run was vetoed at {now.vetoes[run].at}.")
            self._save(State(now.paused, {**now.vetoes, run: _word(reason)}))

    def exclude(self, sentence: str) -> None:
        """The portal no longer lets this node work, in its own words."""
        with self._lock:
            self._excluded = sentence

    def admit(self) -> None:
        """The portal lets this node work."""
        self.exclude("")

    def obstacle(self, run: str) -> Refusal | None:
        """Return why nothing of this run may be done now: E_NODE, E_PAUSED or E_VETO; None when it may."""
        with self._lock:
            excluded = self._excluded
        if excluded:
            return Refusal("E_NODE", "The portal does not let this node work.")
        state = self.state()
        if state.paused is not None:
            return _refusal("E_PAUSED", state.paused)
        vetoed = state.vetoes.get(run)
        return _refusal("E_VETO", vetoed) if vetoed is not None else None

    def _save(self, state: State) -> None:
        paused = vars(state.paused) if state.paused else None
        vetoes = {run: vars(word) for run, word in state.vetoes.items()}
        write_private(self._path, json.dumps({"paused": paused, "vetoes": vetoes}, indent=1).encode())


def _read(content: bytes) -> State:
    try:
        raw = json.loads(content)
        paused = Word(**raw["paused"]) if raw["paused"] else None
        return State(paused, MappingProxyType({run: Word(**word) for run, word in raw["vetoes"].items()}))
    except (ValueError, KeyError, TypeError, AttributeError):
        return State(Word(now_text(), "the node's control.json cannot be read"))


def _word(reason: str) -> Word:
    reason = reason.strip()
    if len(reason) > LONGEST_REASON or "\n" in reason or not is_plain_text(reason):
        raise NodeError("E_INVALID", f"A reason is one line of at most {LONGEST_REASON} characters.")
    return Word(now_text(), reason)


def _refusal(code: str, word: Word) -> Refusal:
    """Put a person's word into a refusal; the reason was written for the portal to show."""
    sentence = CODES[code].removesuffix(".")
    return Refusal(code, f"{sentence}: {word.reason}" if word.reason else "")

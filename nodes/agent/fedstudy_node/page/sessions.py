"""Who is at the page: sessions in memory, gone with the agent, over after fifteen minutes of silence."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hmac import compare_digest

IDLE = 15 * 60.0
CHALLENGE_LIFE = 5 * 60.0
MOST_SESSIONS = 200


@dataclass
class Session:
    """One browser. `approver` is the id of the key that signed in, "" before.

    Attributes:
        token: what every form of this session carries.
        code: the one-time code that was typed, until a passkey is registered with it.
        notice: what the next page tells.
    """

    id: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    approver: str = ""
    code: str = ""
    notice: str = ""
    seen_at: float = 0.0
    _challenges: dict[str, tuple[float, bytes]] = field(default_factory=dict)

    def challenge(self, purpose: str) -> bytes:
        """Return fresh random bytes for one ceremony; an earlier one for the same purpose is void."""
        made = secrets.token_bytes(32)
        self._challenges[purpose] = (time.monotonic() + CHALLENGE_LIFE, made)
        return made

    def take_challenge(self, purpose: str) -> bytes | None:
        """Return the challenge of a purpose, once; None when there is none or it is too old."""
        ends, made = self._challenges.pop(purpose, (0.0, b""))
        return made if time.monotonic() < ends else None

    def take_notice(self) -> str:
        """Return what is to be told, once."""
        said, self.notice = self.notice, ""
        return said

    def fits(self, token: str) -> bool:
        """Whether a form's token is this session's."""
        return compare_digest(token.encode(errors="replace"), self.token.encode())


class Sessions:
    """The sessions of one page. May be used from any thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._by_id: dict[str, Session] = {}

    def find(self, session_id: str) -> Session | None:
        """Return a session that is not over, and note that it was seen."""
        with self._lock:
            session = self._by_id.get(session_id)
            if session is None:
                return None
            if self._now() - session.seen_at > IDLE:
                del self._by_id[session_id]
                return None
            session.seen_at = self._now()
            return session

    def begin(self, approver: str = "") -> Session:
        """Return a new session; the one that was silent longest makes room where there are too many."""
        session = Session(approver=approver, seen_at=self._now())
        with self._lock:
            while len(self._by_id) >= MOST_SESSIONS:
                strangers_first = min(self._by_id.values(), key=lambda item: (bool(item.approver), item.seen_at))
                del self._by_id[strangers_first.id]
            self._by_id[session.id] = session
        return session

    def end(self, session: Session) -> None:
        """Forget a session."""
        with self._lock:
            self._by_id.pop(session.id, None)

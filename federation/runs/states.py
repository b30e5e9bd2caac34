"""The states of runs, attempts, rounds and participations, and the moves between them.

Each table is the only place that says which move is allowed; the database holds the state names (check constraints in
`models`), the services hold the moves.
"""

from audit.states import StateTable

RUN = StateTable(
    name="run",
    initial="draft",
    moves={
        "draft": {"queued", "stopped"},
        "queued": {"waiting", "paused", "stopped"},
        "waiting": {"running", "paused", "failed", "stopped"},
        "running": {"pausing", "paused", "completed", "failed", "stopped"},
        "pausing": {"running", "paused", "completed", "failed", "stopped"},
        "paused": {"queued", "stopped"},
        "completed": set(),
        "failed": {"queued"},
        "stopped": {"queued"},
    },
)

ATTEMPT = StateTable(
    name="attempt",
    initial="announced",
    moves={
        "announced": {"driving", "ended", "lost"},
        "driving": {"ended", "lost"},
        "ended": set(),
        "lost": set(),
    },
)

ROUND = StateTable(
    name="round",
    initial="open",
    moves={
        "open": {"committed", "failed"},
        "committed": set(),
        "failed": set(),
    },
)

PARTICIPATION = StateTable(
    name="participation",
    initial="awaited",
    moves={
        "awaited": {"done", "refused", "failed", "missing"},
        "done": set(),
        "refused": set(),
        "failed": set(),
        "missing": set(),
    },
)

SCHEDULE = StateTable(
    name="schedule",
    initial="active",
    moves={
        "active": {"suspended", "ended"},
        "suspended": {"active", "ended"},
        "ended": set(),
    },
)

DRIVEN = ("waiting", "running", "pausing")  # had its turn: a worker drives it
LIVE = ("queued", *DRIVEN, "paused")  # under way: no mere plan, and not over
FINAL = ("completed", "failed", "stopped")  # over; what failed or was stopped may be resumed

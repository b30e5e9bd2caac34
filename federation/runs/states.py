"""The states of runs, attempts, rounds and participations, and the moves between them.

Each table is the only place that says which move is allowed; the database holds the state names (check constraints in
`models`), the services hold the moves.
"""

from audit.states import StateTable

RUN = StateTable(
    name="run",
    initial="draft",
    moves={
        "draft": {"waiting", "stopped"},
        "waiting": {"running", "failed", "stopped"},
        "running": {"completed", "failed", "stopped"},
        "completed": set(),
        "failed": set(),
        "stopped": set(),
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

LIVE = ("waiting", "running")
FINAL = ("completed", "failed", "stopped")

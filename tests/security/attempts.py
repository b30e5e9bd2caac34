"""A thousand ways to have a script run that nobody approved so, each with the code that must answer it."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from fedstudy_core import canonical, dsse
from fedstudy_core.statement import PAYLOAD_TYPE
from fedstudy_node.control import Control
from fedstudy_node.datasets import Datasets
from fedstudy_node.trust import Trust
from tests.factories.agent import RUN, make_node, revoke_by_hand, script
from tests.security.hospital import (
    ADMIN,
    FAB,
    OTHER_ID,
    OTHER_SHA,
    STRANGER,
    Attempt,
    Hospital,
    Place,
    payload_of,
    reseal,
    seal,
    without,
    written,
)
from tests.security.orders import orders
from tests.security.signers import signatures
from tests.security.standing import standing_attempts

# What a statement signed by the right person says instead, and what the node says to that.
COVERS_SOMETHING_ELSE: list[tuple[str, Any, str]] = [
    ("study", OTHER_ID, "E_STUDY"),
    ("server", "own", "E_CENTRE"),
    ("site", OTHER_ID, "E_AUDIENCE"),
    ("node", OTHER_ID, "E_AUDIENCE"),
    ("script.sha256", OTHER_SHA, "E_BUNDLE"),
    ("script.size", 1, "E_BUNDLE"),
    ("dataset.id", OTHER_ID, "E_DATASET"),
    ("dataset.fingerprint", OTHER_SHA, "E_DATASET"),
    ("run_config.step.max", "0.5", "E_RUN_CONFIG"),
    ("run_config.step.min", "1.5", "E_RUN_CONFIG"),
    ("run_config.step.type", "int", "E_RUN_CONFIG"),
    ("run_config.mode.choices", ["raise"], "E_RUN_CONFIG"),
    ("run_config.extra", {"type": "int"}, "E_RUN_CONFIG"),
    ("run_config", {}, "E_RUN_CONFIG"),
    ("rounds", 2, "E_ROUNDS"),
    ("privacy.min_sites", 2, "E_QUORUM"),
    ("privacy.min_rows", 4, "E_MIN_ROWS"),
    ("outputs.phases", ["query", "evaluate"], "E_OUTPUT_SCHEMA"),
    ("outputs.phases", [], "E_OUTPUT_SCHEMA"),
    *[("sandbox_min", level, "E_SANDBOX") for level in ("S1", "S2", "S3", "S4")],
    ("meaning", "rejected", "E_DECISION"),
    ("approvers.0.key", OTHER_SHA, "E_SIGNERS"),
    ("approvers.0.name", "Somebody Else", "E_SIGNERS"),
    ("approvers.0.role", "data steward", "E_SIGNERS"),
    ("approvers.0.role", "standing policy", "E_FIELDS"),
    ("policy", OTHER_SHA, "E_FIELDS"),
    ("not_before", "2099-01-01T00:00:00Z", "E_NOT_YET"),
    ("not_after", "2020-01-01T00:00:00Z", "E_FIELDS"),
    ("not_after", "2199-01-01T00:00:00Z", "E_TOO_LONG"),
    ("v", 2, "E_VERSION"),
    ("v", 0, "E_VERSION"),
    ("v", "1", "E_VERSION"),
    ("v", True, "E_VERSION"),
    ("meaning", "standing policy", "E_FIELDS"),
    ("sandbox_min", "S9", "E_FIELDS"),
    ("rounds", 0, "E_FIELDS"),
    ("rounds", -5, "E_FIELDS"),
    ("privacy.min_sites", 0, "E_FIELDS"),
    ("outputs.phases", ["query", "train", "agent"], "E_FIELDS"),
    ("outputs.max_bytes", 0, "E_FIELDS"),
    ("outputs.max_norm", 0, "E_FIELDS"),
    ("limits.wall_s", 0, "E_FIELDS"),
    ("nonce", "short", "E_FIELDS"),
    ("not_after", "soon", "E_FIELDS"),
    ("not_after", "2099-01-01", "E_FIELDS"),
    ("study", OTHER_ID.upper(), "E_FIELDS"),
    ("approvers", [], "E_FIELDS"),
    ("approvers", [ADMIN, ADMIN], "E_FIELDS"),
    ("approvers", [ADMIN] * 9, "E_FIELDS"),
]
WRONG_TYPES: dict[type, list[Any]] = {
    str: [7, None, True, ["x"], {"x": "x"}],
    int: ["7", None, True, [7], {"x": 7}],
    list: ["x", 7, {"x": "x"}],
    dict: ["x", 7, ["x"]],
}
# Places where null has a meaning that the person who signs may intend: no bound.
OPTIONAL = {("outputs", "metrics"), ("run_config", "step", "min"), ("run_config", "step", "max")}

# Fields that statements of older nodes lack: without them they say what they always said.
LATER = {("server",)}


def all_attempts(hospital: Hospital) -> list[Attempt]:
    """Every attempt, in families; the untouched approval is not among them."""
    good = hospital.node.approve(FAB, rounds=3)
    families = (forged_statements, other_statements, spellings, envelopes, signatures, replays, orders, scripts, states)
    return [attempt for family in families for attempt in family(hospital, good)]


def places(value: Any, at: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every place in a JSON value, objects and lists included, with what stands there."""
    if at:
        yield at, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from places(item, (*at, name))


def put(payload: Any, at: Place, value: Any) -> Any:
    """The payload with another value in one place."""
    changed = deepcopy(payload)
    inner = changed
    for step in at[:-1]:
        inner = inner[step]
    inner[at[-1]] = value
    return changed


def _place(text: str) -> Place:
    return tuple(int(step) if step.isdigit() else step for step in text.split("."))


def _altered(value: Any) -> Any:
    match value:
        case int():
            return value + 1
        case str():
            return value + "x"
        case list():
            return [*value, value[0]] if value else ["x"]
        case _:
            return {**value, "x": "x"}


def forged_statements(_: Hospital, good: bytes) -> Iterator[Attempt]:
    """Every place of the statement altered or taken away: under the old signature, and signed by a stranger."""
    payload = payload_of(good)
    ours = next(iter(json.loads(good)["signatures"]))["keyid"]
    for at, value in places(payload):
        where = ".".join(map(str, at))
        for what, changed in (("altered", put(payload, at, _altered(value))), ("gone", without(payload, at))):
            yield Attempt(f"{where} {what}, old signature", "E_SIG", reseal(changed, good))
            yield Attempt(f"{where} {what}, stranger", "E_NO_TRUSTED_SIGNATURE", seal(changed, STRANGER))
            posing = json.loads(seal(changed, STRANGER))
            posing["signatures"][0]["keyid"] = ours
            yield Attempt(f"{where} {what}, stranger under our key's id", "E_SIG", written(posing))


def other_statements(_: Hospital, good: bytes) -> Iterator[Attempt]:
    """Statements that the right person did sign, about something else or not in the agreed form."""
    payload = payload_of(good)
    for where, value, code in COVERS_SOMETHING_ELSE:
        yield Attempt(f"{where} = {value!r}", code, seal(put(payload, _place(where), value)))
    for at, value in places(payload):
        where = ".".join(map(str, at))
        for wrong in WRONG_TYPES[type(value)]:
            if not (wrong is None and at in OPTIONAL) and at[0] != "v":
                yield Attempt(f"{where} = {wrong!r}", "E_FIELDS", seal(put(payload, at, wrong)))
        if isinstance(value, dict):
            code = "E_RUN_CONFIG" if at == ("run_config",) else "E_FIELDS"
            unknown = {**value, "unknown": {"type": "int"} if at == ("run_config",) else 1}
            yield Attempt(f"{where}.unknown", code, seal(put(payload, at, unknown)))
        if isinstance(at[-1], str) and len(at) == 1 and at not in (("v",), *LATER):
            yield Attempt(f"{where} is missing", "E_FIELDS", seal(without(payload, at)))
    over = {
        "issued_at": "2020-01-01T00:00:00Z",
        "not_before": "2020-01-01T00:00:00Z",
        "not_after": "2020-02-01T00:00:00Z",
    }
    yield Attempt("of some years ago", "E_EXPIRED", seal(payload | over))
    yield Attempt("an unknown field", "E_FIELDS", seal({**payload, "sudo": True}))
    yield Attempt("v is missing", "E_VERSION", seal(without(payload, ("v",))))
    for other in ([payload], "approved", 1, None, True):
        yield Attempt(f"a {type(other).__name__} for a statement", "E_FIELDS", seal(other))


def spellings(_: Hospital, good: bytes) -> Iterator[Attempt]:
    """The same statement in another spelling, signed by the right person."""
    payload = payload_of(good)
    plain = canonical.dumps(payload)
    loose: list[bytes] = [
        json.dumps(payload).encode(),
        json.dumps(payload, indent=1).encode(),
        json.dumps(dict(reversed(payload.items())), separators=(",", ":")).encode(),
        plain + b" ",
        b" " + plain,
        plain + b"\n",
        b"\xef\xbb\xbf" + plain,
        plain + b"\x00",
        plain.replace(b'"rounds":3', b'"rounds":3.0'),
        plain.replace(b'"rounds":3', b'"rounds":3e0'),
        plain.replace(b'"rounds":3', b'"rounds":03'),
        plain.replace(b'"rounds":3', b'"rounds":+3'),
        plain.replace(b'"rounds":3', b'"rounds":NaN'),
        plain.replace(b'"rounds":3', b'"rounds":Infinity'),
        plain.replace(b'"rounds":3', b'"rounds":99999999999999999999'),
        plain.replace(b"Demo Admin", b"Demo\\u0020Admin"),
        plain.replace(b"Demo Admin", "Demo Admi\u0301n".encode()),
        plain.replace(b"Demo Admin", "Demo \u202eAdmin".encode()),
        plain.replace(b"Demo Admin", b"Demo\\u0000Admin"),
        plain.replace(b"Demo Admin", b"Demo \xff Admin"),
        plain.decode().encode("utf-16"),
        plain[:-1],
        plain + plain,
        b"",
        b"{",
        b"[" * 5_000,
    ]
    for number, data in enumerate(loose):
        yield Attempt(f"spelling {number}", "E_NOT_CANONICAL", seal(data))
    for name in payload:
        entry = canonical.dumps({name: payload[name]})[1:-1]
        yield Attempt(f"{name} twice", "E_DUPKEY", seal(b"{" + entry + b"," + plain[1:]))
        first = canonical.dumps({name: "x"})[1:-1]
        yield Attempt(f"{name} twice, the first another", "E_DUPKEY", seal(b"{" + first + b"," + plain[1:]))
    for name in ("dataset", "limits", "outputs", "privacy", "script"):
        for inner in payload[name]:
            doubled = {**payload, name: "@"}
            twice = canonical.dumps(payload[name])[:-1] + b"," + canonical.dumps({inner: payload[name][inner]})[1:]
            yield Attempt(f"{name}.{inner} twice", "E_DUPKEY", seal(canonical.dumps(doubled).replace(b'"@"', twice)))


def envelopes(_: Hospital, good: bytes) -> Iterator[Attempt]:
    """Every part of the envelope altered, letter by letter, cut short, or spelt in another way."""
    whole = json.loads(good)
    signature = whole["signatures"][0]
    letters = {"payload": whole["payload"], "sig": signature["sig"], "keyid": signature["keyid"]}
    codes = {"payload": "E_SIG", "sig": "E_SIG", "keyid": "E_NO_TRUSTED_SIGNATURE"}
    for part, text in letters.items():
        step = max(len(text) // 120, 1)
        for position in range(0, len(text.rstrip("=")) - 1, step):
            other = "B" if text[position] == "A" else "A"
            if part == "keyid":
                other = "1" if text[position] == "0" else "0"
            start = good.index(text.encode()) + position
            changed = good[:start] + other.encode() + good[start + 1 :]
            yield Attempt(f"letter {position} of {part}", codes[part], changed)
    for length in range(0, len(good), max(len(good) // 60, 1)):
        yield Attempt(f"cut after {length} bytes", "E_ENVELOPE", good[:length])
    for name in ("payload", "payloadType", "signatures"):
        yield Attempt(f"no {name}", "E_ENVELOPE", written(without(whole, (name,))))
        for wrong in (None, 7, "", [], {}, [7]):
            code = "E_TYPE" if (name, wrong) == ("payloadType", "") else "E_ENVELOPE"
            code = "E_SIG" if (name, wrong) == ("payload", "") else code
            yield Attempt(f"{name} = {wrong!r}", code, written({**whole, name: wrong}))
    for kind in ("text/plain", PAYLOAD_TYPE.replace("v1", "v2"), PAYLOAD_TYPE.replace("approval", "policy")):
        yield Attempt(f"of type {kind}", "E_TYPE", seal(payload_of(good), kind=kind))
    loose = [json.dumps(whole), json.dumps(whole, indent=1), good.decode() + "\n", " " + good.decode()]
    loose += [good.decode().replace('"sig"', '"s\\u0069g"'), good.decode()[:-1] + ',"more":1}']
    for number, text in enumerate(loose):
        yield Attempt(f"envelope's spelling {number}", "E_ENVELOPE", text.encode())
    yield Attempt("too large", "E_SIZE", written({**whole, "payload": "A" * dsse.MAX_BYTES}))
    yield Attempt("not base64", "E_ENVELOPE", written({**whole, "payload": whole["payload"][:-4] + "!!!!"}))


def replays(hospital: Hospital, good: bytes) -> Iterator[Attempt]:
    """The good approval in another place, for another study, too early, too late, or after it was revoked."""
    elsewhere = make_node(hospital.home.path.parent / "elsewhere", number=2)
    yield Attempt("of another site's node", "E_AUDIENCE", _at_home(elsewhere.approve(FAB), hospital))
    yield Attempt("for another study", "E_STUDY", good, {"study": OTHER_ID})
    yield Attempt("of a rejection", "E_DECISION", hospital.node.approve(FAB, decision="rejected"))
    yield Attempt(
        "of an approval of an older epoch", "E_REVOKED_EPOCH", good, prepare=lambda at: revoke_by_hand(at.home, 1)
    )
    yield Attempt("of a revoked approval", "E_REVOKED", good, prepare=lambda at: revoke_by_hand(at.home, 0, good))
    grown = {**json.loads(good)}
    grown["signatures"] = [*grown["signatures"], {"keyid": OTHER_SHA, "sig": "AAAA"}]
    revoked_in_disguise = written(grown)
    yield Attempt("of a revoked approval with a signature more", "E_REVOKED", revoked_in_disguise,
                  prepare=lambda at: revoke_by_hand(at.home, 0, good))  # fmt: skip
    far = {"deadline": "2099-01-01T00:00:00+00:00"}
    for days in (90, 91, 180, 365, 3650):
        yield Attempt(f"after {days} days", "E_EXPIRED", good, far, later=timedelta(days=days))
    for days in (1, 30):
        yield Attempt(f"{days} days before", "E_NOT_YET", good, far, later=timedelta(days=-days))
    for number in (4, 5, 500, 10**6):
        yield Attempt(f"round {number}", "E_ROUNDS", good, {"round": number})
        yield Attempt(f"of {number} rounds", "E_ROUNDS", good, {"rounds": number})

    def use_up(at: Hospital) -> None:
        for number in (11, 12, 13):
            at.ledger.count_message(approval=identity, run=OTHER_ID, number=number, message="m")

    identity = canonical.digest(dsse.unverified_payload(good))
    yield Attempt("after its rounds are used up", "E_ROUNDS", good, {"run": OTHER_ID}, prepare=use_up)


def _at_home(envelope: bytes, hospital: Hospital) -> bytes:
    """Another node's statement for this node's dataset: only the audience is another."""
    ours = payload_of(hospital.node.approve(FAB))
    return seal({**payload_of(envelope), "dataset": ours["dataset"]})


def scripts(_: Hospital, good: bytes) -> Iterator[Attempt]:
    """Other scripts, scripts that were altered, other configurations, other kinds of tasks."""
    for position in range(0, len(FAB), max(len(FAB) // 150, 1)):
        changed = bytearray(FAB)
        changed[position] ^= 1 << position % 8
        yield Attempt(f"byte {position} of the script", "E_BUNDLE", good, fab=bytes(changed))
    another = script(**{"np.zeros(14": "np.ones(14"})
    for name, fab in {
        "another": another,
        "cut": FAB[:-1],
        "longer": FAB + b"\x00",
        "none": b"",
        "no zip": b"PK" * 99,
    }.items():
        yield Attempt(f"{name} script", "E_BUNDLE", good, fab=fab)
    configs: list[dict[str, Any]] = [
        *[{"step": value} for value in (10.1, -0.1, 1e300, float("nan"), float("inf"), "1.0", True)],
        *[{"mode": value} for value in ("Good", "good ", "", "rm -rf", 1, True)],
        *[{name: 1} for name in ("extra", "STEP", "step ", "fedstudy", "")],
    ]
    for config in configs:
        yield Attempt(f"config {config}", "E_RUN_CONFIG", good, config=config)
    for task in ("flwr-agentapp", "flwr-clientapp", "flwr-simulation", "agent", "x", "FLWR-SERVERAPP"):
        yield Attempt(f"task {task}", "E_MESSAGE_TYPE", good, task=task)


def states(hospital: Hospital, good: bytes) -> Iterator[Attempt]:
    """The site's own state says no: people no longer trusted, stricter datasets, changed files, a pause, a veto."""

    def trust(change: Callable[[Trust, Hospital], None]) -> Callable[[Hospital], None]:
        return lambda at: change(Trust(at.home), at)

    yield Attempt("whose signer was removed", "E_NO_TRUSTED_SIGNATURE", good,
                  prepare=trust(lambda people, _: people.remove(people.find("Demo Admin"))))  # fmt: skip
    for name, new in {"role": {"role": "data steward"}, "name": {"name": "Demo Nobody"}}.items():
        yield Attempt(f"whose signer has another {name} now", "E_SIGNERS", good, prepare=_renamed(new))
    stricter: list[tuple[dict[str, Any], str]] = [
        ({"min_sites": 2}, "E_POLICY_FLOOR"),
        ({"min_rows": 2}, "E_POLICY_FLOOR"),
        *[({"sandbox_min": level}, "E_POLICY_FLOOR") for level in ("S1", "S2", "S3", "S4")],
        ({"people": 2}, "E_SECOND_PERSON"),
        ({"fingerprint": OTHER_SHA}, "E_DATASET"),
    ]
    for changed, code in stricter[:-1]:
        yield Attempt(f"dataset {changed}", code, good,
                      prepare=lambda at, c=changed: Datasets(at.home).add(replace(at.node.dataset, **c)))  # type: ignore[misc]  # fmt: skip
    for text in ("age,sex\n63,1\n45,0\n71,1\n52,0\n", "age,sex\n", "", "sex,age\n1,63\n0,45\n1,71\n"):
        yield Attempt(f"file {text!r}", "E_DATASET", good, prepare=lambda at, t=text: _rewrite(at, t))  # type: ignore[misc]
    yield Attempt("the dataset is gone", "E_DATASET", good,
                  prepare=lambda at: (at.home.datasets_path / f"{at.node.dataset.id}.toml").unlink())  # fmt: skip
    yield Attempt("while paused", "E_PAUSED", good, prepare=lambda at: Control(at.home).pause("audit"))
    yield Attempt("of a vetoed run", "E_VETO", good, prepare=lambda at: Control(at.home).veto(RUN, "ours"))
    yield from standing_attempts(hospital)


def _renamed(new: dict[str, str]) -> Callable[[Hospital], None]:
    def change(at: Hospital) -> None:
        file = at.home.path / "trust.json"
        entries = json.loads(file.read_bytes())["approvers"]
        entries[0] |= new
        file.write_text(json.dumps({"approvers": entries}))

    return change


def _rewrite(at: Hospital, text: str) -> None:
    Path(at.node.dataset.path).write_text(text, encoding="utf-8")

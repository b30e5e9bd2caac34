"""Real agents as witnesses of a log that is restored from an old backup, begun anew, and forged by who has its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devstack import stack as stacks
from devstack.demo.people import sign_in
from devstack.nodes import NodeCommandError
from fedstudy_core import keys
from fedstudy_core.transparency.checkpoints import Checkpoint
from fedstudy_core.transparency.successions import read
from fedstudy_core.transparency.tree import leaf_hash, root_of
from tests.stage import Json, Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.last]
NEW = "portal.test/audit/2"
QUORUM = 3
CUT = (
    "DELETE FROM audit_event WHERE id IN (SELECT event FROM audit_leaf WHERE position >= %(size)s)",
    "DELETE FROM audit_leaf WHERE position >= %(size)s",
    "DELETE FROM audit_tile WHERE (place + 1) << (8 * (level + 1)) > %(size)s",
    "DELETE FROM audit_checkpoint WHERE size > %(size)s",
    "DELETE FROM audit_cosignature WHERE size > %(size)s",
    "DELETE FROM audit_queue",
)
TILE = 256


def told(stage: Stage) -> Json:
    return dict(stage.investigator.get("audit/witnesses"))


def refusals(stage: Stage) -> list[str]:
    return [item["refused"]["code"] for item in told(stage)["witnesses"] if item["refused"]]


def happen(stage: Stage) -> None:
    """Let something happen that the log tells of."""
    sign_in(stage.stack, stage.cast.investigator).close()


def restore_old_backup(stage: Stage, *, seen: int) -> int:
    """Put the log back to a checkpoint of before this size; returns its size."""
    with stage.tampered_database() as database:
        found = database.execute("SELECT max(size) FROM audit_checkpoint WHERE size < %s", [seen]).fetchone()
        assert found
        for statement in CUT:
            database.execute(statement, {"size": found[0]})
        return int(found[0])


def forge(stage: Stage, *, position: int, key_file: Path) -> None:
    """Write an event of the past anew, and sign the tree with it as the log would."""
    with stage.tampered_database() as database:
        bodies = [body for (body,) in database.execute("SELECT body FROM audit_leaf ORDER BY position")]
        bodies[position] = bodies[position].replace('"outcome":"', '"outcome":"not ')
        hashes = [leaf_hash(body.encode()) for body in bodies]
        root, tile = root_of(hashes), position // TILE
        beside = hashes[tile * TILE : (tile + 1) * TILE]
        note = Checkpoint(NEW, len(hashes), root).signed(keys.from_pem(key_file.read_bytes(), None))
        statements: list[tuple[str, list[Any]]] = [
            ("UPDATE audit_leaf SET body = %s, hash = %s WHERE position = %s",
             [bodies[position], hashes[position], position]),
            ("UPDATE audit_tile SET hashes = %s, root = %s WHERE level = 0 AND place = %s",
             [b"".join(beside), root_of(beside), tile]),
            ("DELETE FROM audit_checkpoint WHERE size > %s", [position]),
            ("INSERT INTO audit_checkpoint (size, root, note, at) VALUES (%s, %s, %s, now())",
             [len(hashes), root, str(note)]),
        ]  # fmt: skip
        for statement, values in statements:
            database.execute(statement, values)


def forks(stage: Stage) -> list[Json]:
    """What those refused who had cosigned the log by its new name."""
    found = [item["refused"] for item in told(stage)["witnesses"] if item["size"] and item["refused"]]
    return [item for item in found if item["code"] == "E_LOG_FORK"]


def accept(stage: Stage, node: Any) -> bool:
    try:
        node.command("witness", "accept", "--yes")
    except NodeCommandError as error:  # the log has signed nothing by its new name yet
        assert error.code == "E_LOG_ORIGIN"
        happen(stage)
        return False
    return True


def test_agents_hold_the_log_to_what_they_saw(stage: Stage) -> None:
    happen(stage)
    stage.wait_until(lambda: told(stage)["witnessed"] > 0 and all(item["size"] for item in told(stage)["witnesses"]))
    sequencer = stage.stack.supervisor.child("sequencer")
    nodes = [stage.stack.node(hospital.node) for hospital in stage.cast.hospitals]
    old_key, sizes = told(stage)["key"], [node.command("witness", "show")["size"] for node in nodes]

    sequencer.stop()
    kept = restore_old_backup(stage, seen=min(sizes))
    stage.stack.supervisor.restart("sequencer")
    stage.wait_until(lambda: len(refusals(stage)) >= QUORUM)
    assert set(refusals(stage)) <= {"E_LOG_ROLLBACK", "E_LOG_FORK"}
    assert told(stage)["witnessed"] <= kept
    shown = [node.command("witness", "show") for node in nodes]
    refusing = [node for node, item in zip(nodes, shown, strict=True) if item["refused"] is not None]
    assert len(refusing) >= QUORUM
    kinds = {entry["kind"] for entry in refusing[0].command("log", "--verify")["entries"]}
    assert "log_refused" in kinds

    stage.stack.supervisor.child("sequencer").stop()
    stacks.manage(sequencer.command.env or {}, "restart_log", NEW)
    stage.stack.supervisor.restart("sequencer")
    statement, by_old = read(told(stage)["succession"].encode())
    assert (str(statement.old), by_old) == (old_key, True)
    assert statement.size in {item["size"] for item in shown}
    for node in nodes[:QUORUM]:
        stage.wait_until(lambda node=node: accept(stage, node))  # type: ignore[misc]
    stage.wait_until(lambda: told(stage)["key"].startswith(f"{NEW}+") and told(stage)["witnessed"] > 0)

    stage.stack.supervisor.child("sequencer").stop()
    everybodys = told(stage)["witnessed"]
    assert len([item for item in told(stage)["witnesses"] if item["size"] >= everybodys]) == QUORUM
    forge(stage, position=everybodys - 1, key_file=Path((sequencer.command.env or {})["FEDSTUDY_LOG_KEY"]))
    stage.stack.supervisor.restart("sequencer")
    stage.wait_until(lambda: len(forks(stage)) == QUORUM)
    for refused in forks(stage):
        assert refused["seen"].split("\n")[2] != refused["offered"].split("\n")[2]

"""The invariants of docs/reliability.md, read from what is on disk: database, artifact store, the nodes' ledgers.

Nothing here asks the portal how it is: a checker that believes what it checks proves nothing.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from psycopg.rows import dict_row

from fedstudy_client.problem import FedStudyProblem
from fedstudy_core.artifacts import decode_arrays
from fedstudy_core.errors import FedStudyError
from fedstudy_core.receipts import verify_receipt
from tests.stage import Stage

TOLERANCE = 1e-6
Row = dict[str, Any]

ROUNDS = """
    SELECT number, state, metrics, mi.sha256 AS model_in, mo.sha256 AS model_out, r.id
    FROM runs_round r
    LEFT JOIN runs_model mi ON mi.id = r.model_in_id
    LEFT JOIN runs_model mo ON mo.id = r.model_out_id
    WHERE r.run_id = %s ORDER BY number, r.id
"""
ANSWERS = """
    SELECT p.round_id, p.phase, p.state, p.receipt, p.content_sha256, p.examples, t.node_id, n.identity_key
    FROM runs_participation p
    JOIN runs_participant t ON t.id = p.participant_id
    JOIN registry_node n ON n.id = t.node_id
    WHERE t.run_id = %s
"""
COMMITS = "SELECT detail FROM audit_event WHERE object_id = %s AND action = 'runs:round:committed'"


class Checker:
    """Looks at runs of a stage. `violations` is empty when all that must hold holds."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._models = stage.stack.folders.data / "models"

    def models(self, run: str) -> dict[int, str]:
        """The SHA-256 of the model after each committed round."""
        return {row["number"]: row["model_out"] for row in self._rows(ROUNDS, run) if row["state"] == "committed"}

    def violations(self, run: str, undisturbed: dict[int, str]) -> list[str]:
        """What does not hold of a run; `undisturbed` are the models of the same plan without any fault."""
        rounds, answers = self._rows(ROUNDS, run), self._rows(ANSWERS, run)
        facts = self._rows("SELECT id, quorum, (SELECT count(*) FROM runs_participant WHERE run_id = r.id) AS sites"
                           " FROM runs_run r WHERE id = %s", run)[0]  # fmt: skip
        committed = [row for row in rounds if row["state"] == "committed"]
        return [
            *self._contiguous(rounds, committed),
            *self._sound(committed),
            *self._linked(committed),
            *self._answered(run, committed, answers, facts["quorum"]),
            *self._approved(run),
            *self._logged(run, committed),
            *self._hidden(run),
            *self._summed(committed, answers, facts["sites"], undisturbed),
        ]

    def _rows(self, query: str, run: str) -> list[Row]:
        with psycopg.connect(self._stage.stack.services.postgres.superuser_url, row_factory=dict_row) as database:
            return database.execute(query, [run]).fetchall()

    def _contiguous(self, rounds: list[Row], committed: list[Row]) -> Iterator[str]:
        numbers = [row["number"] for row in rounds]
        if len(set(numbers)) != len(numbers):
            yield f"I1: a round is there twice: {numbers}"
        if [row["number"] for row in committed] != list(range(len(committed))):
            yield f"I1: the committed rounds are {[row['number'] for row in committed]}"

    def _sound(self, committed: list[Row]) -> Iterator[str]:
        for row in committed:
            file = self._models / row["model_out"][:2] / row["model_out"]
            if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != row["model_out"]:
                yield f"I2: the model of round {row['number']} is not there or not what it was"

    def _linked(self, committed: list[Row]) -> Iterator[str]:
        for before, after in pairwise(committed):
            if after["model_in"] != before["model_out"]:
                yield f"I3: round {after['number']} began with another model than round {before['number']} ended with"

    def _answered(self, run: str, committed: list[Row], answers: list[Row], quorum: int) -> Iterator[str]:
        for row in committed:
            good = [item for item in answers if item["round_id"] == row["id"] and item["state"] == "done"]
            for item in good:
                try:
                    receipt = verify_receipt(bytes(item["receipt"]), item["identity_key"])
                except FedStudyError as error:
                    yield f"I4: a receipt of round {row['number']} does not hold: {error.code}"
                    continue
                told = (receipt.run, receipt.round, receipt.outcome, receipt.update_sha256)
                if told != (run, row["number"], "done", item["content_sha256"]):
                    yield f"I4: a receipt of round {row['number']} is about something else: {told}"
            trained = sum(item["phase"] == "train" for item in good)
            if row["number"] and trained < quorum:
                yield f"I4: round {row['number']} has {trained} answers, of {quorum} needed"

    def _approved(self, run: str) -> Iterator[str]:
        known = {
            row["statement_id"] for row in self._rows("SELECT statement_id FROM scripts_approval WHERE %s <> ''", run)
        }
        for home in self._homes():
            with closing(sqlite3.connect(home / "ledger.sqlite")) as ledger:
                used = {row[0] for row in ledger.execute("SELECT approval FROM round WHERE run = ?", [run])}
            if used - known:
                yield f"I6: {home.name} worked under approvals that nobody knows: {used - known}"

    def _homes(self) -> list[Path]:
        return [self._stage.stack.node(hospital.node).home for hospital in self._stage.cast.hospitals]

    def _logged(self, run: str, committed: list[Row]) -> Iterator[str]:
        told = [json.loads(row["detail"]) for row in self._rows(COMMITS, run)]
        if [(item["round"], item["model_out"]) for item in sorted(told, key=lambda item: int(item["round"]))] != [
            (row["number"], row["model_out"]) for row in committed
        ]:
            yield "I7: the log does not hold each commit once"

    def _hidden(self, run: str) -> Iterator[str]:
        session = self._stage.prepared.sessions.of(self._stage.cast.administrator)  # has no role in the study
        try:
            session.get(f"runs/{run}")
        except FedStudyProblem:
            return
        yield "I8: somebody outside the study reads its run"

    def _summed(
        self, committed: list[Row], answers: list[Row], sites: int, undisturbed: dict[int, str]
    ) -> Iterator[str]:
        """Each model is the undisturbed one as long as the same sites trained; what was added up is who answered."""
        same = True
        for row in committed:
            trained = [
                item for item in answers
                if item["round_id"] == row["id"] and item["state"] == "done" and item["phase"] == "train"
            ]  # fmt: skip
            if not row["number"]:
                continue
            if row["metrics"]["train"]["num-examples"] != sum(item["examples"] for item in trained):
                yield f"sums: round {row['number']} counts other rows than its sites'"
            same = same and len(trained) == sites
            if same and row["number"] in undisturbed:
                away = self.distance(row["model_out"], undisturbed[row["number"]])
                if away > TOLERANCE:
                    yield f"sums: the model of round {row['number']} is {away:.2g} away from the undisturbed one"

    def distance(self, one: str, other: str) -> float:
        """The largest difference between any two numbers of two models."""
        if one == other:
            return 0.0
        arrays = [decode_arrays((self._models / name[:2] / name).read_bytes()) for name in (one, other)]
        return max(float(np.abs(arrays[0][name] - arrays[1][name]).max()) for name in arrays[1])

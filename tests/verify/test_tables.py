"""A dossier that tells of rounds or approvals otherwise than its log, or than sites signed, does not hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from fedstudy_core import canonical, dsse
from fedstudy_core.statement import payload_of, sign_statement
from fedstudy_verify.tables import APPROVALS, BUNDLE, CONSENTS, PLAN, ROUNDS, Tables, compare
from tests.verify.study import ADMIN, RUN, STEWARD, Entry, Log, committed, keys, receipt, recorded, statement

SCRIPT = sha256(b"script").hexdigest()
SAID = statement(script={"sha256": SCRIPT, "size": 6})
NAME, SIGNED = canonical.digest(payload_of(SAID)), "approvals/demo.dsse.json"
APPROVED = recorded(SAID, sha256=SCRIPT)
# the first round's test is told with the second round, as where a model is tested with the training after it
FIRST = committed(1, receipt(1, "2026-01-01T00:00:00Z", SAID))
TESTED = committed(1, receipt(1, "2026-01-01T00:00:00Z", SAID, phase="evaluate"))
SECOND = committed(2, receipt(2, "2026-01-01T00:00:00Z", SAID))
SECOND.facts["sites"] += TESTED.facts["sites"]
LOG = (*keys(), APPROVED, FIRST, SECOND)
PEOPLE = [{"key": "1" * 64, "name": "Ada Demo", "role": "site admin"}]
ALLOWED = {
    "level": "F3", "columns": ["age"], "approvers": PEOPLE, "not_after": "2026-02-01T00:00:00Z",
    "retention_until": "2026-03-01T00:00:00Z",
}  # fmt: skip
CONSENT = canonical.digest(canonical.dumps(ALLOWED))
GIVEN = Entry("pooling:consent:given", "", {"site_name": "Demo Hospital", "consent": CONSENT, "level": "F3"})
CAME = Entry("pooling:object:received", "", {"site_name": "Demo Hospital", "consent": CONSENT, "rows": 80})


def row(number: int, *entries: Entry) -> dict[str, Any]:
    """A round as the dossier tells of it, with the receipts of these entries."""
    receipts = [part["receipt"] for entry in entries for part in entry.facts["sites"] if part["round"] == number]
    sites = [{"site": "Demo Hospital", "receipt": name} for name in receipts]
    told = {"number": number, "state": "committed", "sites": sites}
    return told | {"model_in": f"m{number - 1}", "model_out": f"m{number}"}


def tables() -> dict[str, Any]:
    """What the dossier tells, as the log does."""
    adopted = {"number": 0, "state": "committed", "model_in": None, "model_out": "m0", "sites": []}
    return {
        ROUNDS: [adopted, row(1, FIRST, SECOND), row(2, SECOND)],
        PLAN: {"script": {"sha256": SCRIPT}},
        APPROVALS: [
            {
                "site": "Demo Hospital",
                "meaning": "approved",
                "signers": [dict(signer) for signer in SAID.model_dump(mode="json")["approvers"]],
                "not_after": SAID.not_after,
                "statement": NAME,
                "file": SIGNED,
            }
        ],
        CONSENTS: [
            ALLOWED
            | {"site": "Demo Hospital", "statement": CONSENT, "signers": [{"name": "Ada Demo", "role": "site admin"}]}
            | {"rows": 80}
        ],
    }


def compared(
    folder: Path, told: dict[str, Any], entries: tuple[Entry, ...] = (*LOG, GIVEN, CAME), script: bytes = b"script"
) -> Tables:
    """What comes out of a dossier with these tables and this log."""
    files = {name: json.dumps(value).encode() for name, value in told.items()}
    files |= {BUNDLE: script, SIGNED: sign_statement(SAID, ADMIN, STEWARD)}
    kind = "application/vnd.fedstudy.pool-consent.v1+json"
    files[f"pooling/{CONSENT[:16]}.dsse.json"] = dsse.sign(kind, canonical.dumps(ALLOWED), [ADMIN])
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    Log(list(entries)).write(folder / "log")
    return compare(folder, RUN, files)


def test_what_the_log_tells_too_is_counted(tmp_path: Path) -> None:
    found = compared(tmp_path, tables())
    assert (found.problems, found.unchecked, found.shown, found.checked) == ([], [], 4, 4)


def test_what_the_log_does_not_show_is_not_checked(tmp_path: Path) -> None:
    """The reader may see a part of it only."""
    found = compared(tmp_path, tables(), tuple(keys()))
    assert (found.problems, found.shown, found.checked, len(found.unchecked)) == ([], 4, 0, 4)


def test_answers_that_no_commit_came_after_are_beside_what_the_log_tells(tmp_path: Path) -> None:
    """The last tests of a run that was stopped: they would have been told with the next round."""
    told = tables()
    told[ROUNDS][2]["sites"].append({"site": "Demo Hospital", "receipt": "0" * 64})
    found = compared(tmp_path, told)
    assert (found.problems, found.shown, found.checked) == ([], 4, 4)


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a model": (lambda told: told[ROUNDS][1].update(model_out="other"), "round 1 has other model_out than event 4"),
    "the model before": (lambda told: told[ROUNDS][2].update(model_in="other"), "round 2 has other model_in"),
    "an answer": (lambda told: told[ROUNDS][1]["sites"].pop(), "round 1 has other receipts"),
    "a round": (lambda told: told[ROUNDS].pop(), "lacks round 2, of which event 5 of the log tells"),
    "a signer": (lambda told: told[APPROVALS][0]["signers"][0].update(name="Other"), "another signers was signed"),
    "a meaning": (lambda told: told[APPROVALS][0].update(meaning="rejected"), "another decision was signed"),
    "an end": (lambda told: told[APPROVALS][0].update(not_after="2099-01-01T00:00:00Z"), "another end was signed"),
    "a statement": (lambda told: told[APPROVALS][0].update(statement="0" * 64), "not written as it should be"),
    "the script": (lambda told: told[PLAN]["script"].update(sha256="0" * 64), "is not the script that run/plan.json"),
    "who consented": (lambda told: told[CONSENTS][0].update(signers=[]), "another signers was signed than is shown"),
    "columns": (lambda told: told[CONSENTS][0].update(columns=[]), "another columns was signed than is shown"),
    "a level": (lambda told: told[CONSENTS][0].update(level="F4"), "another level was signed than is shown"),
    "the form": (lambda told: told.update({ROUNDS: {"rounds": 2}}), "run/rounds.json is not written as it should be"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_told_otherwise_is_named(change: str, tmp_path: Path) -> None:
    told = tables()
    alter, said = CHANGES[change]
    alter(told)
    assert said in " ".join(compared(tmp_path, told).problems)


def test_the_log_may_tell_otherwise_of_an_approval(tmp_path: Path) -> None:
    other = recorded(SAID, sha256=SCRIPT, decision="rejected")
    found = compared(tmp_path, tables(), (*keys(), other, FIRST, SECOND))
    assert found.problems == [f"{APPROVALS}: event 3 of the log tells otherwise of Demo Hospital."]


def test_the_log_may_tell_otherwise_of_a_consent(tmp_path: Path) -> None:
    other = Entry("pooling:consent:given", "", GIVEN.facts | {"level": "F4"})
    found = compared(tmp_path, tables(), (*LOG, other, CAME))
    assert found.problems == [f"{CONSENTS}: event 6 of the log tells otherwise of Demo Hospital."]


def test_more_rows_are_not_told_of_than_came(tmp_path: Path) -> None:
    told = tables()
    told[CONSENTS][0].update(rows=90)
    found = compared(tmp_path, told)
    assert found.problems == [f"{CONSENTS}: event 7 of the log tells otherwise of Demo Hospital."]
    unseen = compared(tmp_path, tables(), (*LOG, GIVEN))
    assert unseen.unchecked == [f"{CONSENTS}: no event that is shown tells of the pooled rows of Demo Hospital."]


def test_a_consent_is_not_shown_as_another_site_s(tmp_path: Path) -> None:
    told = tables()
    told[CONSENTS][0].update(site="Other Hospital")
    found = compared(tmp_path, told)
    assert found.problems == [f"{CONSENTS}: event 6 of the log tells otherwise of Other Hospital."]

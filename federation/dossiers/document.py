"""The dossier's facts as its document shows them to people; the words stand in the template."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from federation.dossiers.facts import Facts, Json
from federation.dossiers.pooled import consent_told
from federation.dossiers.versions import Step
from fedstudy_core.statement import SANDBOX_WORDS

NONE = "–"
UNITS = ("bytes", "KiB", "MiB", "GiB")
# The same in every language.
NAMES = {
    "bill": "script/sbom.cdx.json (CycloneDX 1.6)",
    "commands": "pip install fedstudy-client\nfedstudy-verify DOSSIER --key LOG-KEY",
    "crate": "ro-crate-metadata.json",
    "entry": "entry.jsonl",
    "log": "log/",
    "manifest": "manifest.json",
    "signature": "signature.json",
}
WORDS = {
    "adds": gettext_noop("adds to sums and tests"),
    "awaited": gettext_noop("Awaited"),
    "committed": gettext_noop("Committed"),
    "completed": gettext_noop("Completed"),
    "deleted": gettext_noop("Deleted"),
    "done": gettext_noop("Done"),
    "evaluate": gettext_noop("Test"),
    "expired": gettext_noop("Expired"),
    "failed": gettext_noop("Failed"),
    "initial": gettext_noop("First model"),
    "missing": gettext_noop("Missing"),
    "open": gettext_noop("Open"),
    "refused": gettext_noop("Refused"),
    "released": gettext_noop("Released"),
    "replaced": gettext_noop("Replaced"),
    "requested": gettext_noop("Asked for"),
    "revoked": gettext_noop("Revoked"),
    "stopped": gettext_noop("Stopped"),
    "sums": gettext_noop("Exact sums"),
    "tests": gettext_noop("only tests"),
    "train": gettext_noop("Training"),
    "trains": gettext_noop("trains"),
    "valid": gettext_noop("Valid"),
    "withdrawn": gettext_noop("Withdrawn"),
}


def document_of(
    facts: Facts, steps: Sequence[Step], files: Iterable[tuple[str, str, str]], *, has_model: bool
) -> dict[str, Any]:
    """What the template shows.

    Args:
        files: path, title and SHA-256 of the dossier's other files.
        has_model: whether the model's parameters are among them.
    """
    listed = list(files)
    card = facts.card or {}
    return {
        "names": NAMES,
        "study": facts.study,
        "plan": {**facts.plan, **_words(facts.plan), **_times(facts.plan, "planned_at", "started_at", "ended_at")},
        "made_at": shown_time(facts.made_at),
        "made_by": facts.made_by,
        "protocol": facts.protocol,
        "protocols": [{**item, **_times(item, "uploaded_at")} for item in facts.protocols],
        "dictionary": facts.dictionary,
        "variables": [_variable(item) for item in facts.dictionary.variables] if facts.dictionary else [],
        "sites": [_site(item) for item in facts.sites],
        "approvals": [_approval(item) for item in facts.approvals],
        "consents": [_consent(consent_told(item), facts.plan["id"]) for item in facts.consents],
        "configuration": sorted(facts.plan["configuration"].items()),
        "steps": [{"at": shown_time(step.submitted_at), "step": step} for step in reversed(steps)],
        "sources": [item for item in listed if item[0].startswith("script/source/")],
        "rounds": [_round(item) for item in facts.rounds],
        "card": card,
        "results": [_result(item) for item in card.get("results", ())],
        "subgroups": [_subgroup(item) for item in card.get("subgroups", ())],
        "metrics": [(name, shown_number(value)) for name, value in sorted(card.get("metrics", {}).items())],
        "model": facts.model,
        "model_size": shown_size(facts.model["size"]),
        "releases": [_release(item) for item in facts.model["releases"]],
        "has_model": has_model,
        "files": [item for item in listed if not item[0].startswith("script/source/")],
    }


def shown_time(text: str | None) -> str:
    """A time in UTC to the second, as people read it."""
    return text.replace("T", " ").replace("Z", " UTC") if text else NONE


def shown_number(value: Any, digits: int = 3) -> str:
    """A number in the reader's way."""
    return NONE if value is None else number_format(value, digits)


def shown_size(count: int | None) -> str:
    """Bytes in a unit that leaves few digits."""
    if count is None:
        return NONE
    value, unit = float(count), 0
    while value >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{number_format(value, 1 if unit else 0)} {UNITS[unit]}"


def shown_word(state: str) -> str:
    """A state or phase in the reader's language; a script's own phases as they are."""
    return _(WORDS[state]) if state in WORDS else state


def _words(item: Mapping[str, Any]) -> Json:
    return {"word": shown_word(item["state"])}


def _times(item: Mapping[str, Any], *names: str) -> Json:
    return {name: shown_time(item[name]) for name in names}


def _consent(item: Mapping[str, Any], run: str) -> Json:
    """A consent; `earlier` names the runs other than this one whose models have seen its rows."""
    earlier = [user["label"] for user in item["runs"] if user["id"] != run]
    is_own = len(earlier) < len(item["runs"])
    times = _times(item, "signed_at", "ended_at", "deleted_at")
    return {**item, **_words(item), **times, "earlier": earlier, "is_own": is_own}


def _variable(item: Mapping[str, Any]) -> Json:
    ends = item.get("min"), item.get("max")
    bounds = f"{_end(ends[0])} … {_end(ends[1])}" if any(end is not None for end in ends) else ""
    codes = ", ".join(f"{code['value']} {code.get('label', '')}".strip() for code in item.get("codes") or ())
    return {
        "name": item["name"],
        "label": item.get("label", ""),
        "type": item["type"],
        "unit": item.get("unit") or "",
        "range": bounds or codes,
    }


def _end(value: Any) -> str:
    return "" if value is None else str(value)


def _site(item: Json) -> Json:
    privacy = item["privacy"]
    told = {name: NONE if value in (None, [], "") else value for name, value in privacy.items()}
    told["phases"] = ", ".join(privacy["phases"] or ()) or NONE
    told["metrics"] = ", ".join(privacy["metrics"] or ()) or NONE
    told["max_bytes"] = shown_size(privacy["max_bytes"])
    if words := SANDBOX_WORDS.get(privacy["sandbox_min"]):
        told["sandbox_min"] = f"{privacy['sandbox_min']}: {_(words)}"
    return {**item, "role": shown_word(item["role"]), "privacy": told}


def _approval(item: Json) -> Json:
    return {**item, **_times(item, "signed_at", "not_before", "not_after", "revoked_at")}


def _round(item: Json) -> Json:
    """A round in one line: how many of its sites answered everything, and why others did not."""
    asked = dict.fromkeys(part["site"] for part in item["sites"])
    missed = [part for part in item["sites"] if part["state"] != "done"]
    duration = item["duration_ms"]
    return {
        **item,
        "word": shown_word(item["state"]),
        "committed_at": shown_time(item["committed_at"]),
        "duration": NONE if duration is None else f"{number_format(duration / 1000, 1)} s",
        "asked": len(asked),
        "answered": len(asked.keys() - {part["site"] for part in missed}),
        "missed": [{**part, "word": shown_word(part["state"]), "phase": shown_word(part["phase"])} for part in missed],
    }


def _figure(estimate: Mapping[str, Any] | None) -> str:
    if estimate is None:
        return NONE
    interval = estimate["interval"]
    value = shown_number(estimate["value"])
    return f"{value} ({shown_number(interval[0])} – {shown_number(interval[1])})" if interval else value


def _result(item: Mapping[str, Any]) -> Json:
    figures = {name: _figure(item[name]) for name in ("auc", "sensitivity", "specificity")}
    return {"site": item["site"], "rows": item["rows"], "brier": shown_number(item["brier"]), **figures}


def _subgroup(item: Mapping[str, Any]) -> Json:
    figures = {name: _figure(item[name]) for name in ("auc", "sensitivity", "specificity")}
    return {
        "subgroup": item["subgroup"],
        "value": item["value"],
        "sites": item["sites"],
        "of": item["sites"] + item["withheld"],
        "rows": item["rows_band"] or NONE,
        **figures,
    }


def _release(item: Json) -> Json:
    signatures = [{**one, **_times(one, "signed_at")} for one in item["signatures"]]
    return {**item, **_words(item), **_times(item, "requested_at", "decided_at"), "signatures": signatures}

"""A model card as Markdown, for a model's repository or a paper's appendix."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~])")
_NONE = "–"


def as_markdown(card: dict[str, Any]) -> str:
    """A card (`Card.as_json`) as Markdown; words of people are plain text in it."""
    return "\n".join(_lines(card)) + "\n"


def _lines(card: dict[str, Any]) -> Iterator[str]:
    yield f"# Model card: {_plain(card['label'])}"
    yield f"\nStudy: {_plain(card['study'])}\n"
    for title, name in (("Question", "question"), ("Aims", "aims"), ("Intended use", "intended_use")):
        yield from _section(title, card[name])
    yield "## Model\n"
    yield from _table(("fact", "value"), _model(card))
    yield "\n## Sites\n"
    yield from _table(
        ("site", "level", "rows", "rounds", "least sites", "least rows", "largest norm", "sandbox"),
        [
            (
                site["site"], site["level"], site["rows_band"], site["rounds"], site["min_sites"], site["min_rows"],
                site["max_norm"], site["sandbox_min"],
            )
            for site in card["sites"]
        ],
    )  # fmt: skip
    signed = [(site["site"], item) for site in card["sites"] for item in site.get("signatures", ())]
    if signed:
        yield "\nThe sites' approvals are signed:\n"
        yield from _table(
            ("site", "name", "role", "date and time", "meaning"),
            [(site, item["name"], item["role"], item["signed_at"], item["meaning"]) for site, item in signed],
        )
    yield "\n## Results\n"
    yield from _results(card)
    yield from _section("\n## Caveats", card["caveats"], head="")
    yield "## Limits\n"
    yield from (f"- {_plain(sentence)}" for sentence in card["limits"])


def _section(title: str, words: str, head: str = "## ") -> Iterator[str]:
    yield f"{head}{title}\n"
    yield f"{_plain(words) or 'Not written.'}\n"


def _model(card: dict[str, Any]) -> list[tuple[str, Any]]:
    configuration = ", ".join(f"{name} = {value}" for name, value in sorted(card["configuration"].items()))
    return [
        ("SHA-256 of the parameters", card["model_sha256"]),
        ("Parameters", card["model_parameters"]),
        ("After round", f"{card['model_round']} ({card['rounds_committed']} of {card['rounds_planned']} committed)"),
        ("Script", f"{card['script']} v{card['script_version']}, SHA-256 {card['script_sha256']}"),
        ("Strategy", card["strategy"]),
        ("Configuration", configuration),
        ("Arrays travelled as", card["transport"]),
        ("Data dictionary", f"version {card['dictionary_version']}, SHA-256 {card['dictionary_sha256']}"),
        ("Trained", f"{card['started_at'] or _NONE} to {card['ended_at'] or _NONE}"),
        ("Run", card["run"]),
    ]


def _results(card: dict[str, Any]) -> Iterator[str]:
    if card["results"]:
        yield f"Tested after round {card['tested_round']}; intervals of 95 %; decisions from a score of 1/2 on.\n"
        yield from _table(
            ("site", "rows tested", "AUC", "sensitivity", "specificity", "Brier score"),
            [
                (
                    item["site"] or "All sites", item["rows"], _figure(item["auc"]), _figure(item["sensitivity"]),
                    _figure(item["specificity"]), f"{item['brier']:.3f}",
                )
                for item in card["results"]
            ],
        )  # fmt: skip
        yield ""
    if card.get("subgroups"):
        yield "By subgroup, over the sites that told of it; the others have too few such rows:\n"
        yield from _table(
            ("subgroup", "sites", "rows tested", "AUC", "sensitivity", "specificity"),
            [
                (
                    f"{item['subgroup']}: {item['value']}", f"{item['sites']} of {item['sites'] + item['withheld']}",
                    item["rows_band"], _figure(item["auc"]), _figure(item["sensitivity"]), _figure(item["specificity"]),
                )
                for item in card["subgroups"]
            ],
        )  # fmt: skip
        yield ""
    if card["metrics"]:
        yield "As the script reports them, over all sites:\n"
        yield from _table(("metric", "value"), [(name, f"{value:.6g}") for name, value in card["metrics"].items()])


def _figure(estimate: dict[str, Any] | None) -> str:
    if estimate is None:
        return _NONE
    interval = estimate["interval"]
    return f"{estimate['value']:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(_NONE if cell in (None, '') else _plain(cell) for cell in row)} |"


def _plain(value: Any) -> str:
    """Words without a meaning in Markdown, in one paragraph."""
    return _MARKS.sub(r"\\\1", " ".join(str(value).split()))

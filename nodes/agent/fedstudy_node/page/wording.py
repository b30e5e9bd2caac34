"""Documents in words, for people who sign them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from fedstudy_core.parameters import Allowed
from fedstudy_core.policy import Policy
from fedstudy_core.revocation import Revocation
from fedstudy_core.statement import Outputs, Statement
from fedstudy_core.times import parse_time
from fedstudy_node.datasets import Dataset
from fedstudy_node.declared import LEADERS, allowed
from fedstudy_node.home import Settings
from fedstudy_node.node_config import in_words
from fedstudy_node.signatures import signed_by

MEANINGS = {
    "approved": "I have reviewed this script, and I approve that it runs on this dataset at this node within the limits"
    " above, until the approval ends or is revoked.",
    "rejected": "I have reviewed this script, and I reject it: it shall not run on this dataset at this node.",
    "standing policy": "I approve that this node admits the scripts named above by itself, on this dataset and within"
    " the limits above, until the policy ends or is revoked.",
    "revoked": "I take this back: from now on it no longer counts at this node.",
}
_UNITS = ("bytes", "KiB", "MiB", "GiB")
Rows = list[tuple[str, str]]


def meaning(content: Statement | Policy | Revocation) -> str:
    """Return the meaning of a signature under a document, as its signer says it."""
    return MEANINGS["revoked" if isinstance(content, Revocation) else content.meaning]


def rows(content: Statement | Policy | Revocation, dataset: Dataset | None, subject: str, here: Settings) -> Rows:
    """Return all that a document says, in words; ids of this site and node with their names."""
    match content:
        case Statement():
            return [*_about(content, dataset, subject, here), *_terms(content, dataset)]
        case Policy():
            scripts = "; ".join(content.scripts)
            return [
                ("Scripts admitted, by SHA-256", scripts),
                *_about(content, dataset, subject, here),
                *_terms(content, dataset),
            ]
        case Revocation():
            return [
                ("Taken back", subject),
                ("Statement", content.statement),
                ("Reason", content.reason or "none given"),
                ("At", moment(content.revoked_at)),
                ("Node", _named(content.node, here.node, here.name)),
            ]


def _named(found: str, ours: str, name: str) -> str:
    """An id, after its name where it is our own."""
    return f"{name} ({found})" if name and found == ours else found


def _about(content: Statement | Policy, dataset: Dataset | None, subject: str, here: Settings) -> Rows:
    named = f"{dataset.name}: exactly {dataset.rows} rows" if dataset else "a dataset that is not at this node"
    script: Rows = []
    if isinstance(content, Statement):
        found = f"{content.script.sha256} ({size(content.script.size)})"
        script = [
            ("Script, as the portal calls it", subject),
            ("SHA-256 of the script", found),
            ("Who leads the rounds", LEADERS[content.server]),
        ]
    return [
        *script,
        ("Study", content.study),
        ("Dataset", named),
        ("Fingerprint of the dataset", content.dataset.fingerprint),
        ("Given to the script beside it, not signed", (dataset and in_words(dataset.config)) or "nothing"),
        ("Site", _named(content.site, here.site, here.site_name)),
        ("Node", _named(content.node, here.node, here.name)),
    ]


def _terms(content: Statement | Policy, dataset: Dataset | None) -> Rows:
    floor = dataset.floor if dataset else None
    at_least = "at least {}" + ("; the dataset's steward asks for {}" if floor else "")
    configured = [] if isinstance(content, Policy) else [("What a run may set", _configuration(content.run_config))]
    return [
        *configured,
        ("Rounds of a run", f"at most {content.rounds}"),
        ("Sites in a run", at_least.format(content.privacy.min_sites, floor and floor.min_sites)),
        ("Rows behind an answer", at_least.format(content.privacy.min_rows, floor and floor.min_rows)),
        ("What may leave", leaves(content.outputs)),
        (
            "Work on one message",
            f"at most {content.limits.wall_s} seconds and {content.limits.memory_mb} MiB of memory",
        ),
        ("Sandbox", at_least.format(content.sandbox_min, floor and floor.sandbox_min)),
        *([("Written", moment(content.issued_at))] if isinstance(content, Statement) else []),
        ("Counts from", moment(content.not_before)),
        ("Counts until", moment(content.not_after)),
        ("Number at this node", f"{content.sequence}; of revocation epoch {content.revocation_epoch}"),
        ("Signed by", signed_by(content, moment)),
    ]


def leaves(outputs: Outputs) -> str:
    """Say what may leave the site."""
    metrics = "any metrics" if outputs.metrics is None else f"the metrics {', '.join(outputs.metrics)}"
    bound = "" if outputs.max_norm is None else f"; updates of norm {outputs.max_norm} at most"
    phases = ", ".join(outputs.phases)
    return f"arrays and {metrics}, in answer to {phases}; at most {size(outputs.max_bytes)} an answer{bound}"


def _configuration(run_config: Mapping[str, Allowed]) -> str:
    return "\n".join(f"{name}: {allowed(item)}" for name, item in run_config.items()) or "nothing"


def size(count: int) -> str:
    """A number of bytes for people."""
    amount, unit = float(count), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 or amount >= 100 else f"{amount:.1f} {_UNITS[unit]}"


def moment(text: str) -> str:
    """A time of the node's files for people: UTC, with how far away it is."""
    if not text:
        return "–"
    when = parse_time(text)
    days = round((when - datetime.now(UTC)) / timedelta(days=1))
    away = f", in {days} days" if days > 1 else ""
    return f"{when:%d %B %Y, %H:%M} UTC{away}"


def short(text: str) -> str:
    """The beginning of a hash or an id."""
    return text[:12]


def words(text: str) -> str:
    """A kind of entry in words."""
    return text.replace("_", " ")

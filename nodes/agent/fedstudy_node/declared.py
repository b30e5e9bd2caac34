"""What a script declares, in words: what a run may set, and what it sends back, to which a node holds its replies."""

from fedstudy_core.bundle import Bundle, Declaration
from fedstudy_core.metrics import MOST_REPLICATES, SITES_OWN
from fedstudy_core.parameters import Allowed, Parameter, digits

LEADERS = {
    "strategy": "the portal, by one of its strategies",
    "own": "the script's own ServerApp, in a sandbox at the centre: it sees every site's answers, one by one",
}


def sent_back(bundle: Bundle) -> list[tuple[str, str, str]]:
    """Return rows of all that a script declares to send: in answer to what, the name, and its form."""
    declaration = bundle.declaration
    outputs = declaration.outputs
    if declaration.server == "own":
        return _sent_to_own_server(declaration)
    model = " and ".join(["train", *([declaration.initial] if declaration.initial else [])])
    rows = [(model, name, layout) for name, layout in outputs.arrays.items()]
    rows = rows or [(model, "arrays", "not declared: the first model may have any form, updates have the model's")]
    if declaration.sums:
        rows += [(declaration.sums, name, layout) for name, layout in outputs.sums.items()] or [
            (declaration.sums, "sums", "not declared: any form")
        ]
    for name, kind in declaration.metrics.items():
        rows.append(("evaluate" if kind in SITES_OWN else "train, evaluate", name, _form(kind, outputs.bins.get(name))))
    return rows if declaration.metrics else [*rows, ("train, evaluate", "metrics", "not declared: any single numbers")]


def _form(kind: str, bins: int | None) -> str:
    match kind:
        case "histogram":
            return f"counts of rows in {bins or 'any number of'} bins"
        case "replicates":
            return f"at most {MOST_REPLICATES} numbers: the metric over test rows drawn at random"
        case "identity":
            return "a number that tells apart of which test rows replicates are"
        case _:
            return kind


def _sent_to_own_server(declaration: Declaration) -> list[tuple[str, str, str]]:
    """What a script with a ServerApp of its own may send to it: it names its records itself."""
    arrays = [("train", name, layout) for name, layout in declaration.outputs.arrays.items()]
    metrics: list[tuple[str, str, str]] = [("any message", name, kind) for name, kind in declaration.metrics.items()]
    return [
        *(arrays or [("any message", "arrays", "not declared: finite numbers of any form")]),
        *(metrics or [("any message", "metrics", "not declared: finite numbers, and short lists of them")]),
        ("any message", "texts, bytes and files", "never"),
    ]


def allowed(item: Allowed | Parameter) -> str:
    """What a parameter may be."""
    if item.choices is not None:
        return " or ".join(map(str, item.choices))
    kind = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false"}[item.type]
    low = "" if item.min is None else f"from {digits(item.min)}"
    high = "" if item.max is None else f"to {digits(item.max)}"
    return " ".join(filter(None, [kind, low, high]))

"""What a script declares that it sends back, in words; a node holds its replies to it."""

from fedstudy_core.bundle import Bundle


def sent_back(bundle: Bundle) -> list[tuple[str, str, str]]:
    """Return rows of all that a script declares to send: in answer to what, the name, and its form."""
    declaration = bundle.declaration
    outputs = declaration.outputs
    model = " and ".join(["train", *([declaration.initial] if declaration.initial else [])])
    rows = [(model, name, layout) for name, layout in outputs.arrays.items()]
    rows = rows or [(model, "arrays", "not declared: the first model may have any form, updates have the model's")]
    if declaration.sums:
        rows += [(declaration.sums, name, layout) for name, layout in outputs.sums.items()] or [
            (declaration.sums, "sums", "not declared: any form")
        ]
    for name, kind in declaration.metrics.items():
        bins = outputs.bins.get(name)
        form = kind if kind != "histogram" else f"counts of rows in {bins or 'any number of'} bins"
        rows.append(("train, evaluate", name, form))
    return rows if declaration.metrics else [*rows, ("train, evaluate", "metrics", "not declared: any single numbers")]

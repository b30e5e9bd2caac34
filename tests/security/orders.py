"""Attempts with orders: fields taken away, of another type, or saying what the message does not."""

from collections.abc import Iterator
from typing import Any

from flwr.app import ConfigRecord, RecordDict

from fedstudy_core import flower
from tests.factories.agent import RUN, STUDY
from tests.security.hospital import OTHER_ID, OTHER_SHA, Attempt, Hospital


def orders(_: Hospital, good: bytes) -> Iterator[Attempt]:
    """Every field of the order taken away, doubled in another type, or saying something else."""
    fields = flower.Order.__dataclass_fields__
    changes: list[tuple[dict[str, Any], str]] = [
        *[({"study": text}, "E_ORDER") for text in ("", "x", "../../etc", OTHER_ID.upper(), "\x00", OTHER_ID + "\n")],
        *[({"run": text}, "E_ORDER") for text in ("", "x", "../../etc", OTHER_ID.upper(), "\x00", OTHER_ID + "\n")],
        *[({"round": number}, "E_ORDER") for number in (-1, -(10**9), 10**6 + 1, 2**60)],
        *[({"phase": text}, "E_OUTPUT_SCHEMA") for text in ("", "agent", "fit", "TRAIN", "train ", "\u202e")],
        *[({"phase": text}, "E_ORDER") for text in ("query", "evaluate")],
        *[({"message_type": text}, "E_ORDER") for text in ("evaluate", "query", "query.rows", "agent", "fit")],
        *[({"sites": number}, "E_QUORUM") for number in (0, -1)],
        *[({"deadline": text}, "E_ORDER") for text in ("", "tomorrow", "2099-01-01T00:00:00", "99", "\x00")],
        *[({"deadline": text}, "E_DEADLINE") for text in ("2020-01-01T00:00:00+00:00", "1970-01-01T00:00:00Z")],
        ({"model_sha256": OTHER_SHA}, "E_ORDER"),
        ({"model_sha256": "x"}, "E_ORDER"),
        *[({"transport": text}, "E_ORDER") for text in ("", "bfloat16", "FLOAT32", "float64")],
        *[({"approval": data}, "E_ENVELOPE") for data in (b"", b"{}", b"[]", b"null", b"\xff", b"0")],
    ]  # fmt: skip
    for changed, code in changes:
        yield Attempt(f"order {changed}"[:80], code, good, changed)
    plain = {
        "study": STUDY, "run": RUN, "round": 1, "phase": "train", "message_type": "train", "sites": 1, "rounds": 3,
        "deadline": "2099-01-01T00:00:00+00:00", "model_sha256": "", "approval": good, "dataset": OTHER_ID,
        "transport": "float32", "ticket": "",
        "content": flower.pack(RecordDict()),
    }  # fmt: skip
    for name in fields:
        left = {key: value for key, value in plain.items() if key != name}
        yield Attempt(f"order without {name}", "E_ORDER", good, said=_said(left))
        for wrong in (
            1.5,
            True,
            [1],
            b"x" if name != "approval" else "x",
            "1" if plain[name] != "" and isinstance(plain[name], int) else 7,
        ):
            yield Attempt(f"order with {name} = {wrong!r}", "E_ORDER", good, said=_said({**left, name: wrong}))
    yield Attempt("an order with a field more", "E_ORDER", good, said=_said({**plain, "sudo": 1}))
    yield Attempt("no order", "E_ORDER", good, said=RecordDict())
    yield Attempt("a content that is none", "E_REPLY", good, said=_said({**plain, "content": b"\xff\xff"}))
    yield Attempt("another record for the order", "E_ORDER", good, said=RecordDict({"order": ConfigRecord(plain)}))
    for outer in ("evaluate", "query", "query.rows", "train.rows", "trainer"):
        yield Attempt(f"sent as {outer}", "E_ORDER", good, outer_type=outer)


def _said(values: dict[str, Any]) -> RecordDict:
    return RecordDict({flower.ORDER: ConfigRecord(values)})

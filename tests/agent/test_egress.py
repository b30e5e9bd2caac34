"""What may leave a site: every honest reply, nothing else, and no word of the script."""

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from fedstudy_core import flower
from fedstudy_core.bundle import Declaration
from fedstudy_core.errors import Refusal
from fedstudy_core.statement import Outputs
from fedstudy_node.egress import MOST_METRICS, MOST_NUMBERS, Allowance, check_reply, distance
from fedstudy_node.replies import read_reply
from tests.strategies.builders import booster

PATIENT = "Jane Doe 1950-03-01"
ROWS = 40
MODEL = {"layer.weight": np.zeros((2, 3), np.float32), "layer.bias": np.zeros(2, np.float32)}
DECLARATION = Declaration.model_validate(
    {
        "initial": "query.initial_model",
        "sums": "query.moments",
        "metrics": {"loss": "mean", "auc": "mean", "scores": "histogram", "free": "histogram"},
        "outputs": {"sums": {"count": "float64[1]", "sum": "float64[*]"}, "bins": {"scores": 4}},
    }
)
OUTPUTS = Outputs(
    phases=["query", "train", "evaluate"], max_bytes=10_000, metrics=["loss", "auc", "scores", "free"], max_norm=3
)
WORDS = frozenset(
    re.findall("[a-z]+", "arrays metrics sums layer weight bias num-examples loss auc scores free count sum train")
)
TRAIN = Allowance("train", "train", OUTPUTS, DECLARATION, min_rows=5, rows=ROWS, words=WORDS, model=MODEL)
EVALUATE = replace(TRAIN, phase="evaluate", message_type="evaluate")
INITIAL = replace(TRAIN, phase="query", message_type="query.initial_model", model=None)
SUMS = replace(INITIAL, message_type="query.moments")
OTHER = replace(INITIAL, message_type="query.environment")
PLAIN = replace(TRAIN, declaration=Declaration(), outputs=Outputs(phases=["train"], max_bytes=10_000), min_rows=1)

METRICS: dict[str, Any] = {"num-examples": 40, "loss": 0.5, "scores": [10, 20, 5, 5]}


def arrays(values: dict[str, np.ndarray]) -> ArrayRecord:
    return ArrayRecord({name: flower.array(np.asarray(value)) for name, value in values.items()})


def train(changed: dict[str, Any] | None = None, /, **metrics: Any) -> RecordDict:
    """An honest answer to `train`, with these arrays and metrics instead; None takes one away."""
    update: dict[str, Any] = {**MODEL, **(changed or {})}
    measured = {name: value for name, value in {**METRICS, **metrics}.items() if value is not None}
    kept = {name: value for name, value in update.items() if value is not None}
    return RecordDict({"arrays": arrays(kept), "metrics": MetricRecord(measured)})


def evaluate(**metrics: Any) -> RecordDict:
    return RecordDict({"metrics": train(**metrics)["metrics"]})


def beside(**records: Any) -> RecordDict:
    return RecordDict({**train(), **records})


def named(name: str, value: Any) -> RecordDict:
    return RecordDict({"metrics": MetricRecord({"num-examples": 40, name: value})})


def smuggled(**fields: Any) -> RecordDict:
    """An honest answer whose first array says something else in a field beside its numbers."""
    honest = flower.array(MODEL["layer.weight"])
    facts = {name: getattr(honest, name) for name in ("dtype", "shape", "stype", "data")} | fields
    return RecordDict({**train(), "arrays": ArrayRecord({**train()["arrays"], "layer.weight": Array(**facts)})})


def npy_with_comment(words: str) -> bytes:
    """NumPy's format with a header that NumPy, and our own reader, take; and words in it that are no number."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }} # {words}\n".encode("latin-1")
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + MODEL["layer.weight"].tobytes()


def fortran() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3) / 10))
    return buffer.getvalue()


HONEST: list[tuple[Allowance, RecordDict]] = [
    (TRAIN, train()),
    (TRAIN, train({"layer.bias": np.ones(2, np.float32)}, auc=0.7)),
    (TRAIN, train(scores=None)),
    (TRAIN, smuggled(data=fortran())),
    (EVALUATE, evaluate()),
    (EVALUATE, evaluate(free=[1] * 30)),
    (INITIAL, RecordDict({"arrays": arrays(MODEL)})),
    (SUMS, RecordDict({"sums": arrays({"count": np.ones(1), "sum": np.ones(13)})})),
    (SUMS, RecordDict({"sums": ArrayRecord()})),
    (replace(OTHER, min_rows=1), RecordDict({"metrics": MetricRecord({"loss": 0.5})})),
    (OTHER, evaluate()),
    (PLAIN, train(**{"scores": None, "train.loss_1": 0.1})),
]


@pytest.mark.parametrize(("allowance", "content"), HONEST)
def test_every_honest_reply_passes_with_all_its_numbers(allowance: Allowance, content: RecordDict) -> None:
    reply = read_reply(flower.pack(content), allowance)
    assert flower.unpack(bytes(reply.packed)).keys() == content.keys()
    for name, record in content.items():
        if isinstance(record, MetricRecord):
            assert dict(reply.content[name]) == dict(record)  # type: ignore[call-overload]
        else:
            sent = flower.arrays_of(reply.content[name])  # type: ignore[arg-type]
            assert list(sent) == list(record)
            assert all(np.array_equal(sent[key], flower.arrays_of(record)[key]) for key in sent)  # type: ignore[arg-type]


CORPUS: list[tuple[str, Allowance, RecordDict, str]] = [
    ("a note beside", TRAIN, beside(note=ConfigRecord({"row": PATIENT})), "E_OUTPUT_SCHEMA"),
    ("text as metrics", EVALUATE, RecordDict({"metrics": ConfigRecord({"row": PATIENT})}), "E_OUTPUT_SCHEMA"),
    ("a second model", TRAIN, beside(rows=arrays(MODEL)), "E_OUTPUT_SCHEMA"),
    ("second metrics", TRAIN, beside(more=MetricRecord({"loss": 1.0})), "E_OUTPUT_SCHEMA"),
    ("a patient as a record", TRAIN, beside(**{PATIENT: arrays(MODEL)}), "E_OUTPUT_SCHEMA"),
    ("arrays while evaluating", EVALUATE, train(), "E_OUTPUT_SCHEMA"),
    ("an update without rows", TRAIN, RecordDict({"arrays": arrays(MODEL)}), "E_OUTPUT_SCHEMA"),
    ("arrays called metrics", EVALUATE, RecordDict({"metrics": arrays(MODEL)}), "E_OUTPUT_SCHEMA"),
    ("nothing at all", TRAIN, RecordDict(), "E_OUTPUT_SCHEMA"),
    ("arrays of an undeclared query", OTHER, RecordDict({"arrays": arrays(MODEL)}), "E_OUTPUT_SCHEMA"),
    ("sums of another query", INITIAL, RecordDict({"sums": arrays(MODEL)}), "E_OUTPUT_SCHEMA"),
    ("one array more", TRAIN, train({"rows": np.zeros(3)}), "E_UPDATE_NAMES"),
    ("one array less", TRAIN, train({"layer.bias": None}), "E_UPDATE_NAMES"),
    ("another order", TRAIN, beside(arrays=arrays(dict(reversed(MODEL.items())))), "E_UPDATE_NAMES"),
    ("an update of nothing", replace(TRAIN, model=None), train(), "E_UPDATE_NAMES"),
    ("a patient as a name", INITIAL, RecordDict({"arrays": arrays({PATIENT: np.ones(1)})}), "E_UPDATE_NAMES"),
    ("sums not declared", SUMS, RecordDict({"sums": arrays({"rows": np.ones(99)})}), "E_UPDATE_NAMES"),
    (
        "5,000 arrays",
        replace(INITIAL, outputs=OUTPUTS.model_copy(update={"max_bytes": 10**7})),
        RecordDict({"arrays": arrays({f"a{n}": np.ones(1) for n in range(5_000)})}),
        "E_UPDATE_NAMES",
    ),
    ("another precision", TRAIN, train({"layer.bias": np.zeros(2)}), "E_UPDATE_DTYPE"),
    ("complex numbers", INITIAL, RecordDict({"arrays": arrays({"a": np.ones(2, complex)})}), "E_UPDATE_DTYPE"),
    ("another byte order", INITIAL, RecordDict({"arrays": arrays({"a": np.ones(2, ">f8")})}), "E_UPDATE_DTYPE"),
    ("another shape", TRAIN, train({"layer.weight": np.zeros((3, 2), np.float32)}), "E_UPDATE_SHAPE"),
    (
        "sums longer than declared",
        SUMS,
        RecordDict({"sums": arrays({"count": np.ones(2), "sum": np.ones(3)})}),
        "E_UPDATE_SHAPE",
    ),
    ("not a number", TRAIN, train({"layer.bias": np.array([0, np.nan], np.float32)}), "E_UPDATE_NOT_FINITE"),
    (
        "infinite",
        SUMS,
        RecordDict({"sums": arrays({"count": np.array([np.inf]), "sum": np.ones(1)})}),
        "E_UPDATE_NOT_FINITE",
    ),
    ("too far away", TRAIN, train({"layer.bias": np.full(2, 9, np.float32)}), "E_UPDATE_NORM"),
    (
        "beyond all numbers",
        replace(TRAIN, model={"a": np.zeros(1)}),
        beside(arrays=arrays({"a": np.array([1e300])})),
        "E_UPDATE_NORM",
    ),
    ("another metric", EVALUATE, named("age-of-row-7", 63.0), "E_METRICS_NAMES"),
    ("a patient as a metric", replace(PLAIN, phase="evaluate"), named(PATIENT, 1.0), "E_METRICS_NAMES"),
    ("a long undeclared name", replace(PLAIN, phase="evaluate"), named("a" * 65, 1.0), "E_METRICS_NAMES"),
    ("a list of ages", EVALUATE, evaluate(loss=[63.0, 45.0]), "E_METRICS_FORM"),
    ("an undeclared list", replace(PLAIN, phase="evaluate"), named("ages", [63, 45]), "E_METRICS_FORM"),
    ("a histogram of another length", EVALUATE, evaluate(scores=[1, 2, 3]), "E_METRICS_FORM"),
    ("a histogram that is a number", EVALUATE, evaluate(scores=4), "E_METRICS_FORM"),
    ("ages as a histogram", EVALUATE, evaluate(scores=[63, 45, 71, 50]), "E_METRICS_FORM"),
    ("cholesterol as a histogram", EVALUATE, evaluate(scores=[0.5, 1.5, 0.0, 0.0]), "E_METRICS_FORM"),
    ("counts below zero", EVALUATE, evaluate(scores=[-1, 2, 3, 4]), "E_METRICS_FORM"),
    ("a histogram of 2,000 bins", EVALUATE, evaluate(free=[0] * 2_000), "E_METRICS_FORM"),
    ("infinite counts", EVALUATE, evaluate(scores=[float("inf"), 1.0, 1.0, 1.0]), "E_METRICS_NOT_FINITE"),
    ("an infinite metric", EVALUATE, evaluate(loss=float("nan")), "E_METRICS_NOT_FINITE"),
    ("5,000 numbers", EVALUATE, evaluate(free=[0] * (MOST_NUMBERS + 1)), "E_METRICS_SIZE"),
    (
        "300 metrics",
        replace(PLAIN, phase="evaluate"),
        RecordDict({"metrics": MetricRecord({f"m{n}": n for n in range(MOST_METRICS + 1)})}),
        "E_METRICS_SIZE",
    ),
    ("no rows named", EVALUATE, evaluate(**{"num-examples": None}), "E_UPDATE_WEIGHT"),
    ("half a row", EVALUATE, evaluate(**{"num-examples": 10.5}), "E_UPDATE_WEIGHT"),
    ("more rows than there are", TRAIN, train(**{"num-examples": ROWS + 1}), "E_UPDATE_WEIGHT"),
    ("rows below zero", TRAIN, train(**{"num-examples": -1}), "E_UPDATE_WEIGHT"),
    ("a list of rows", TRAIN, train(**{"num-examples": [63, 45]}), "E_UPDATE_WEIGHT"),
    ("infinite rows", TRAIN, train(**{"num-examples": float("inf")}), "E_UPDATE_WEIGHT"),
    ("no rows behind it", EVALUATE, evaluate(**{"num-examples": 0}), "E_MIN_ROWS"),
    ("too few rows behind it", EVALUATE, evaluate(**{"num-examples": 4}), "E_MIN_ROWS"),
    ("a query that hides its rows", OTHER, RecordDict({"metrics": MetricRecord({"loss": 0.5})}), "E_UPDATE_WEIGHT"),
    ("an array that is none", TRAIN, smuggled(data=b"63,1,145"), "E_REPLY"),
    ("another kind of array", TRAIN, smuggled(stype="pickle"), "E_REPLY"),
    ("an array cut short", TRAIN, smuggled(data=flower.array(MODEL["layer.weight"]).data[:-4]), "E_REPLY"),
    (
        "larger than approved",
        replace(TRAIN, outputs=OUTPUTS.model_copy(update={"max_bytes": 200})),
        train(),
        "E_OUTPUT_SIZE",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("allowance", "content", "code"), [row[1:] for row in CORPUS], ids=[row[0] for row in CORPUS])
def test_no_other_reply_passes(allowance: Allowance, content: RecordDict, code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        read_reply(flower.pack(content), allowance)
    assert refusal.value.code == code


@pytest.mark.parametrize("cut", [0, 1, 5])
def test_bytes_that_are_no_content_do_not_pass(cut: int) -> None:
    with pytest.raises(Refusal):
        read_reply(flower.pack(train())[:-1] if cut else b"\xff\xfe", TRAIN)


@pytest.mark.parametrize(
    "content",
    [smuggled(dtype=PATIENT), smuggled(shape=(63, 1, 145)), smuggled(data=npy_with_comment(PATIENT))],
    ids=["dtype", "shape", "header"],
)
def test_what_a_script_hides_beside_its_numbers_stays_here(content: RecordDict) -> None:
    packed = flower.pack(content)
    reply = read_reply(packed, TRAIN)
    assert bytes(reply.packed) == bytes(read_reply(flower.pack(train()), TRAIN).packed)
    assert bytes(reply.packed) != packed
    assert PATIENT.encode() not in bytes(reply.packed)


def test_fields_that_nobody_reads_stay_here() -> None:
    unknown = b"\xfa\x7f" + bytes([len(PATIENT)]) + PATIENT.encode()  # field 2047 of the protobuf message
    packed = flower.pack(train())
    length = int.from_bytes(packed[:8], "little")
    description, data = packed[8 : 8 + length] + unknown, packed[8 + length + -(8 + length) % 16 :]
    longer = (length + len(unknown)).to_bytes(8, "little") + description
    smuggled = longer + bytes(-len(longer) % 16) + data
    assert PATIENT.encode() not in bytes(read_reply(smuggled, TRAIN).packed)
    for odd in (packed + PATIENT.encode(), packed[: 8 + length] + b"x" + packed[9 + length :]):
        with pytest.raises(Refusal, match="E_REPLY"):
            read_reply(odd, TRAIN)


def test_what_left_is_told_without_its_values() -> None:
    cargo = check_reply(train(), TRAIN)
    assert json.loads(cargo.manifest()) == {
        "arrays": {"arrays": {"layer.weight": "float32[2, 3]", "layer.bias": "float32[2]"}},
        "metrics": {"num-examples": 1, "loss": 1, "scores": 4},
    }
    assert (cargo.numbers, cargo.examples) == (8 + 6, 40)


LAYOUTS = st.dictionaries(
    st.lists(st.sampled_from([*WORDS, "7"]), min_size=1, max_size=4).map(".".join),
    st.tuples(st.lists(st.integers(0, 4), max_size=3), st.sampled_from(["float32", "float64", "float16", "int64"])),
    min_size=1,
    max_size=5,
)


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[Allowance, dict[str, np.ndarray]]:
    """Any model, and an update of it that stays within the norm of 3."""
    model, update = {}, {}
    for name, (shape, dtype) in draw(LAYOUTS).items():
        seed = np.random.default_rng(draw(st.integers(0, 99)))
        model[name] = seed.integers(-5, 5, shape).astype(dtype)
        step = 0 if dtype == "int64" else 0.1
        update[name] = (model[name] + np.asarray(seed.choice([-step, step], shape), dtype)).astype(dtype)
    return replace(TRAIN, model=model, outputs=OUTPUTS.model_copy(update={"max_bytes": 10**6})), update


@given(exchanges(), st.integers(5, ROWS), st.floats(allow_nan=False, allow_infinity=False))
def test_any_honest_update_passes(
    exchange: tuple[Allowance, dict[str, np.ndarray]], examples: int, loss: float
) -> None:
    allowance, update = exchange
    metrics = MetricRecord({"num-examples": examples, "loss": loss})
    reply = read_reply(flower.pack(RecordDict({"arrays": arrays(update), "metrics": metrics})), allowance)
    assert reply.cargo.examples == examples
    assert {name: value.tolist() for name, value in reply.cargo.arrays["arrays"].items()} == {
        name: value.tolist() for name, value in update.items()
    }


def _widen(values: np.ndarray) -> np.ndarray:
    return values.astype("float32" if values.dtype != np.float32 else "float64")


Arrays = dict[str, np.ndarray]
DEVIATIONS: list[Callable[[Arrays, str], Arrays]] = [
    lambda update, name: {key: value for key, value in update.items() if key != name},
    lambda update, name: {**update, f"{name}x": update[name]},
    lambda update, name: {f"{key}x" if key == name else key: value for key, value in update.items()},
    lambda update, name: {**update, name: _widen(update[name])},
    lambda update, name: {**update, name: update[name][None]},
    lambda update, name: {**update, name: np.append(update[name], update[name].dtype.type(1))},
    lambda update, name: (
        {name: update[name], **{key: value for key, value in update.items() if key != name}}
        if next(iter(update)) != name
        else {name: _widen(update[name])}
    ),
    lambda update, name: {**update, name: _spoilt(update[name])},
    lambda update, name: {**update, name: _far(update[name])},
]


def _spoilt(values: np.ndarray) -> np.ndarray:
    return np.full_like(values, np.nan) if values.dtype.kind == "f" and values.size else _widen(values)


def _far(values: np.ndarray) -> np.ndarray:
    return np.asarray(values + values.dtype.type(50)) if values.size else _widen(values)


@given(exchanges(), st.sampled_from(DEVIATIONS), st.data())
def test_no_update_that_deviates_passes(
    exchange: tuple[Allowance, Arrays], deviate: Callable[[Arrays, str], Arrays], data: st.DataObject
) -> None:
    allowance, update = exchange
    changed = deviate(update, data.draw(st.sampled_from(sorted(update))))
    content = RecordDict({"arrays": arrays(changed), "metrics": train()["metrics"]})
    with pytest.raises(Refusal) as refusal:
        read_reply(flower.pack(content), allowance)
    assert refusal.value.code.startswith("E_UPDATE_")


NAMES = st.text(st.characters(codec="utf-8"), max_size=30)
VALUES = st.one_of(
    st.integers(-(2**60), 2**60),
    st.floats(),
    st.lists(st.floats(), max_size=8),
    st.lists(st.integers(-9, 99), max_size=8),
)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_metrics_that_pass_are_declared_finite_and_about_enough_rows(metrics: dict[str, Any]) -> None:
    content = RecordDict({"metrics": MetricRecord({"num-examples": 40, **metrics})})
    try:
        passed = read_reply(flower.pack(content), EVALUATE).cargo.metrics["metrics"]
    except Refusal as refusal:
        assert refusal.code.startswith("E_METRICS_") or refusal.code in ("E_UPDATE_WEIGHT", "E_MIN_ROWS")
        return
    assert passed is not None
    assert set(passed) <= {"num-examples", *(OUTPUTS.metrics or ())}
    assert all(np.isfinite(value).all() for value in passed.values())
    assert all(sum(value) <= ROWS for value in passed.values() if isinstance(value, list))


def test_the_distance_is_the_norm_of_the_difference() -> None:
    update = {"a": np.array([3.0, 0.0]), "b": np.array([[5]])}
    assert distance(update, {"a": np.zeros(2), "b": np.array([[1]])}) == 5.0


LAID_OUT = {"layer.weight": "float32[2,3]", "layer.bias": "float32[2]"}
WITH_LOCAL = replace(
    TRAIN,
    declaration=DECLARATION.model_copy(
        update={"local_layers": ["*.bias"], "outputs": DECLARATION.outputs.model_copy(update={"arrays": LAID_OUT})}
    ),
)
SHARED = {"layer.weight": MODEL["layer.weight"]}


def test_layers_that_are_declared_local_may_be_absent_and_no_others() -> None:
    read_reply(flower.pack(train({"layer.bias": None})), replace(WITH_LOCAL, model=SHARED))
    read_reply(flower.pack(train()), WITH_LOCAL)
    for content, model in ((train({"layer.weight": None}), {"layer.bias": MODEL["layer.bias"]}), (train(), SHARED)):
        with pytest.raises(Refusal) as refusal:
            read_reply(flower.pack(content), replace(WITH_LOCAL, model=model))
        assert refusal.value.code == "E_UPDATE_NAMES"


def test_trees_grow_and_are_trees() -> None:
    declaration = DECLARATION.model_copy(update={"model": "trees"})
    empty = {"0": np.zeros(0, np.uint8)}
    allowance = replace(
        TRAIN, declaration=declaration, model=empty, outputs=OUTPUTS.model_copy(update={"max_norm": None})
    )

    def grown(content: np.ndarray) -> bytes:
        return flower.pack(RecordDict({"arrays": arrays({"0": content}), "metrics": train()["metrics"]}))

    read_reply(grown(booster(0.1)), allowance)
    read_reply(grown(booster(0.1, 0.2)), replace(allowance, model={"0": booster(0.1)}))
    for content, changed, code in (
        (np.frombuffer(PATIENT.encode(), np.uint8), {}, "E_UPDATE_TREES"),
        (booster(0.1), {"outputs": OUTPUTS}, "E_UPDATE_NORM"),
        (booster(0.1), {"model": None}, "E_UPDATE_NAMES"),
    ):
        with pytest.raises(Refusal, match=code):
            read_reply(grown(content), replace(allowance, **changed))

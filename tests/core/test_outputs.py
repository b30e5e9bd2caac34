"""What a script declares that it sends back."""

import numpy as np
import pytest

from fedstudy_core import bundle as bundles
from fedstudy_core.errors import Refusal
from fedstudy_core.outputs import DeclaredOutputs, check_layout, numbers_in
from tests.core.builders import FILES, PROJECT, zipped

OUTPUTS = """
sums = "query.moments"
metrics = {loss = "mean", scores = "histogram"}

[tool.fedstudy.outputs.arrays]
weight = "float32[1,13]"
bias = "float32[*]"
counter = "int64[]"

[tool.fedstudy.outputs.sums]
count = "float64[1]"

[tool.fedstudy.outputs.bins]
scores = 200
"""


def declared(outputs: str) -> DeclaredOutputs:
    project = PROJECT.replace('initial = "query.initial"', 'initial = "query.initial"\n' + outputs)
    return bundles.inspect(zipped({**FILES, "pyproject.toml": project.encode()})).declaration.outputs


def test_a_script_says_what_it_sends_back() -> None:
    outputs = declared(OUTPUTS)
    assert list(outputs.arrays) == ["weight", "bias", "counter"]
    assert (outputs.sums, outputs.bins) == ({"count": "float64[1]"}, {"scores": 200})


def test_a_script_that_says_nothing_is_taken() -> None:
    assert declared("") == DeclaredOutputs()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"float32[1,13]"', '"float32"'),
        ('"float32[1,13]"', '"object[1,13]"'),
        ('"float32[1,13]"', '"float32[-1]"'),
        ('"float32[1,13]"', '"float32[1,13,]"'),
        ("weight =", '"weight of Jane Doe" ='),
        ("scores = 200", "scores = 0"),
        ("scores = 200", "scores = 100000"),
        ("scores = 200", "loss = 200"),
        ("scores = 200", "rows = 200"),
        ('sums = "query.moments"\n', ""),
        ("[tool.fedstudy.outputs.bins]", "[tool.fedstudy.outputs.more]"),
    ],
)
def test_what_does_not_fit_is_refused(old: str, new: str) -> None:
    assert old in OUTPUTS
    with pytest.raises(Refusal) as refusal:
        declared(OUTPUTS.replace(old, new))
    assert refusal.value.code == "E_BUNDLE_DECLARATION"


LAYOUTS = {"a": "float32[1,*]", "b": "int64[]"}
FITTING = {"a": np.zeros((1, 7), np.float32), "b": np.asarray(3)}


def test_arrays_laid_out_as_declared_pass() -> None:
    check_layout(FITTING, LAYOUTS)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"c": np.zeros(1)}, "E_UPDATE_NAMES"),
        ({"a": np.zeros((1, 7))}, "E_UPDATE_DTYPE"),
        ({"a": np.zeros((2, 7), np.float32)}, "E_UPDATE_SHAPE"),
        ({"a": np.zeros((1, 7, 1), np.float32)}, "E_UPDATE_SHAPE"),
        ({"a": np.zeros(1, np.float32)}, "E_UPDATE_SHAPE"),
        ({"b": np.asarray([3])}, "E_UPDATE_SHAPE"),
    ],
)
def test_arrays_laid_out_otherwise_do_not(changed: dict[str, np.ndarray], code: str) -> None:
    with pytest.raises(Refusal) as refusal:
        check_layout({**FITTING, **changed}, LAYOUTS)
    assert refusal.value.code == code


def test_another_order_does_not_pass() -> None:
    with pytest.raises(Refusal, match="E_UPDATE_NAMES"):
        check_layout(dict(reversed(FITTING.items())), LAYOUTS)


def test_how_many_numbers_a_layout_holds() -> None:
    assert numbers_in({"a": "float32[2,13]", "b": "float32[]"}) == 27
    assert numbers_in(LAYOUTS) is None
    assert numbers_in({}) == 0

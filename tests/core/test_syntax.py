"""Reading Python in several threads at once."""

from __future__ import annotations

import ast
import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fedstudy_core import syntax

NESTED = b"\n".join(b"x%d = %s1%s" % (number, b"(" * 40 + b"-" * 20, b")" * 40) for number in range(80))


@pytest.fixture
def hurried_threads() -> Iterator[None]:
    """A collector that is always at work, and gives way to other threads: finalizers of the portal's objects do."""

    def give_way(phase: str, info: object) -> None:
        time.sleep(0)

    limits = gc.get_threshold()
    gc.callbacks.append(give_way)
    gc.set_threshold(20)
    yield
    gc.set_threshold(*limits)
    gc.callbacks.remove(give_way)


@pytest.mark.usefixtures("hurried_threads")
def test_threads_read_at_once() -> None:
    with ThreadPoolExecutor(6) as threads:
        trees = list(threads.map(lambda number: syntax.parse(NESTED, f"{number}.py"), range(12)))
    assert {ast.dump(tree) for tree in trees} == {ast.dump(ast.parse(NESTED))}


def test_what_is_no_python_is_named() -> None:
    with pytest.raises(SyntaxError) as refused:
        syntax.parse(b"x = (", "train.py")
    assert refused.value.filename == "train.py"

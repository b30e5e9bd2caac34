"""What a site gives to scripts beside a dataset's file: values that apps read from `context.node_config`.

Flower's examples look there for the path of their data, a partition's number and the like. The site sets them for each
dataset; they are shown in its reviews, reach the script's process and are told to nobody else.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from fedstudy_core.bundle import Declaration
from fedstudy_core.resampling import resampling_key
from fedstudy_node.errors import NodeError
from fedstudy_node.scripting import DATASET_FORMAT, DATASET_PATH, DRAWING_KEY

Value = bool | int | float | str

DATASET_FILE = "{dataset}"
MOST_VALUES = 50
_LONGEST = 500
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_OWN = frozenset({DATASET_PATH, DATASET_FORMAT, DRAWING_KEY})


def parse_value(key: str, text: str) -> Value:
    """Return a value as it was typed: a number, true or false where it reads as one, otherwise text.

    `{dataset}` in a text stands for the dataset's file as the script sees it. Raises NodeError (E_NODE_CONFIG).
    """
    if not _KEY.fullmatch(key) or key in _OWN:
        raise NodeError(
            "E_NODE_CONFIG", f"{key!r} cannot be set: use letters, digits, dots and dashes, and no name of ours."
        )
    value = _plain(text)
    if isinstance(value, str) and (len(value) > _LONGEST or not value.isprintable()):
        raise NodeError("E_NODE_CONFIG", f"The text for {key!r} is longer than {_LONGEST} characters, or not plain.")
    return value


def _plain(text: str) -> Value:
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, bool | float | int | str) else text


def for_script(values: Mapping[str, Value], dataset: Path, format_: str) -> dict[str, Value]:
    """Return the node configuration of a script whose dataset lies at a path inside its sandbox."""
    given = {
        name: value.replace(DATASET_FILE, str(dataset)) if isinstance(value, str) else value
        for name, value in values.items()
    }
    return {**given, DATASET_PATH: str(dataset), DATASET_FORMAT: format_}


def for_drawing(declaration: Declaration, secret: Callable[[], bytes], *named: str) -> dict[str, Value]:
    """Return what a script that declares replicates needs to draw them: a key of this node and its dataset alone.

    Args:
        named: the study, the dataset and its fingerprint; other rows have another key.
    """
    if "replicates" not in declaration.metrics.values():
        return {}
    return {DRAWING_KEY: resampling_key(secret(), *named).hex()}


def in_words(values: Mapping[str, Value]) -> str:
    """Return the values on one line; "" where there are none."""
    return ", ".join(f"{name} = {value}" for name, value in values.items())

"""Names in a script's reply: records, arrays, metrics. A name is text, and text could be a patient's.

So a name leaves only if the site read it before: every word of it stands in the script's own files, which the site
approved, or is one that PyTorch gives to the parameters of its layers. Numbers in names are those of layers.
"""

import re
from functools import lru_cache

from fedstudy_core.archives import read_archive
from fedstudy_core.errors import Refusal
from fedstudy_node.flower import RecordDict

LONGEST = 200
_NAME = re.compile(r"[A-Za-z0-9_.\- /]+")
_WORD = re.compile(r"[A-Za-z]+|[0-9]+")
_LARGEST_NUMBER = 999
_MOST_NUMBERS = 6
_OF_LAYERS = frozenset(
    ("weight", "bias", "running", "mean", "var", "num", "batches", "tracked", "in", "out", "proj", "ih", "hh", "l")
)


@lru_cache(maxsize=8)
def words_of(fab: bytes) -> frozenset[str]:
    """Return every word that stands in a bundle's text files."""
    found: set[str] = set()
    for data in read_archive(fab).values():
        found.update(_WORD.findall(data.decode("utf-8", "ignore")))
    return frozenset(found) | _OF_LAYERS


def check_names(content: RecordDict, words: frozenset[str]) -> None:
    """Raises Refusal (E_OUTPUT_SCHEMA), without the name, for one that the site has not read."""
    for record_name, record in content.items():
        for name in (record_name, *record):
            if not _is_known(name, words):
                raise Refusal("E_OUTPUT_SCHEMA", "The reply holds a name that does not stand in the approved script.")


def _is_known(name: str, words: frozenset[str]) -> bool:
    if len(name) > LONGEST or not _NAME.fullmatch(name):
        return False
    parts = _WORD.findall(name)
    numbers = [part for part in parts if part.isdigit()]
    if len(numbers) > _MOST_NUMBERS or any(int(number) > _LARGEST_NUMBER for number in numbers):
        return False
    return all(part in words for part in parts if not part.isdigit())

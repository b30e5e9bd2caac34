"""Whether a person who approves a script can see what is in a file of it.

A site signs what its people read. So a file is text without invisible or direction-changing characters (what is shown
is what runs: CVE-2021-42574), or parameters in safetensors form; nothing that could hold code in a form nobody reads.
"""

from __future__ import annotations

import pickletools
import re
import warnings

from safetensors import SafetensorError
from safetensors.numpy import load

from fedstudy_core import syntax
from fedstudy_core.errors import Refusal

PICKLED = (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".dill", ".npy", ".npz", ".ckpt", ".h5")
_PICKLE_STARTS = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
_ZIP_START = b"PK\x03\x04"
_PROGRAM_STARTS = (b"\x7fELF", b"MZ\x90\x00", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe")
COMPILED = (".pyc", ".pyo", ".whl")
SOURCES = (".py", ".pyw")
LONGEST_SOURCE = 200_000  # bytes; what is longer is a finding of the analysis
_CALLS = {"GLOBAL", "INST", "STACK_GLOBAL", "REDUCE", "BUILD", "OBJ", "NEWOBJ", "NEWOBJ_EX"}
# Controls, invisible and direction-changing characters (Unicode categories Cc, Cf, Zl, Zp). Line ends, tabs and form
# feeds are fine, and so are the two joiners, which shape words and symbols and change no order.
_DECEPTIVE = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001345f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)


def refuse_unreviewable(path: str, data: bytes) -> None:
    """Let a file through that a person can review.

    Raises:
        Refusal: E_BUNDLE_PICKLE, E_BUNDLE_BINARY, E_BUNDLE_DECEPTIVE, E_BUNDLE_SYNTAX.
    """
    if path.lower().endswith(COMPILED):
        detail = f"“{path}” is compiled or packed code that nobody can read; leave it out, the sources are enough."
        raise Refusal("E_BUNDLE_BINARY", detail, status=400)
    if data.startswith(_PROGRAM_STARTS):
        raise Refusal("E_BUNDLE_BINARY", f"“{path}” is a program for a machine, not text.", status=400)
    if path.lower().endswith(PICKLED) or data.startswith((*_PICKLE_STARTS, _ZIP_START)) or _is_text_pickle(data):
        detail = f"“{path}” can hold code that runs when it is read; use safetensors."
        raise Refusal("E_BUNDLE_PICKLE", detail, status=400)
    if path.endswith(".safetensors"):
        _refuse_other_parameters(path, data)
        return
    try:
        text = data.decode("utf-8-sig")  # some editors begin a text with a mark of its coding
    except UnicodeDecodeError as error:
        raise Refusal("E_BUNDLE_BINARY", f"“{path}” is not text.", status=400) from error
    if "\0" in text:
        raise Refusal("E_BUNDLE_BINARY", f"“{path}” is not text.", status=400)
    if found := _DECEPTIVE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        detail = f"“{path}” has an invisible character (U+{ord(found.group()):04X}) in line {line}."
        raise Refusal("E_BUNDLE_DECEPTIVE", detail, status=400)
    if path.lower().endswith(SOURCES) and len(data) <= LONGEST_SOURCE:
        _refuse_broken_code(path, data)


def _refuse_broken_code(path: str, data: bytes) -> None:
    """Code that Python cannot read would fail at every site, after every site signed it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            syntax.parse(data, path)
    except SyntaxError as error:
        detail = f"“{path}” is not valid Python: {error.msg} in line {error.lineno or 1}."
        raise Refusal("E_BUNDLE_SYNTAX", detail, status=400) from error
    except (RecursionError, MemoryError):
        return  # valid as far as anybody can tell; the analysis says that it is nested too deeply


def _is_text_pickle(data: bytes) -> bool:
    """Whether the bytes are a pickle of protocol 0 or 1, which looks like text, that would call something."""
    names = set()
    try:
        for opcode, _, _ in pickletools.genops(data):
            names.add(opcode.name)
    except (ValueError, UnicodeDecodeError, OverflowError):
        return False
    return bool(names & _CALLS)


def _refuse_other_parameters(path: str, data: bytes) -> None:
    try:
        load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise Refusal("E_BUNDLE_BINARY", f"“{path}” does not hold parameters.", status=400) from error

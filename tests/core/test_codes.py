"""Every error code that the sources use is known, has a sentence for people, and is used."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fedstudy_core.codes import CODES
from fedstudy_core.errors import FedStudyError, FieldProblem, Forbidden, Invalid, NotFound, Refusal

ROOT = Path(__file__).parents[2]
SOURCES = ("federation", "nodes", "platform", "studies")
CODE = re.compile(r"""["'](E_[A-Z][A-Z_]+)["']""")


def used() -> dict[str, str]:
    """Each code that stands in a source file, and one file in which it stands."""
    found: dict[str, str] = {}
    for source in SOURCES:
        for file in (ROOT / source).rglob("*.py"):
            if file.name != "codes.py":
                found.update(dict.fromkeys(CODE.findall(file.read_text()), str(file.relative_to(ROOT))))
    return found


def test_every_code_in_the_sources_is_registered() -> None:
    assert {code: file for code, file in used().items() if code not in CODES} == {}


@pytest.mark.parametrize("code", CODES)
def test_a_code_has_a_sentence_that_people_can_read(code: str) -> None:
    sentence = CODES[code]
    assert re.fullmatch(r"E_[A-Z][A-Z_]*[A-Z]", code)
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert len(sentence) <= 120
    assert not re.search(r"[A-Z]{2}_|None|null|exception|invalid", sentence)


def test_an_error_carries_code_sentence_and_status() -> None:
    error = FedStudyError("E_BUNDLE")
    assert (error.detail, error.status) == (CODES["E_BUNDLE"], 500)
    assert str(error) == f"E_BUNDLE: {CODES['E_BUNDLE']}"
    assert [kind("E_STATE").status for kind in (Invalid, Forbidden, NotFound, Refusal)] == [400, 403, 404, 409]
    problem = FieldProblem("title", "E_INVALID", "A title is needed.")
    assert Invalid("E_INVALID", "No.", errors=[problem]).errors == (problem,)


def test_an_unknown_code_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="E_NONSENSE"):
        FedStudyError("E_NONSENSE")


@pytest.mark.parametrize(
    "module", ["bundle", "statement", "receipts", "dictionary", "signed_request", "wire", "updates"]
)
def test_reading_documents_loads_neither_flower_nor_torch(module: str) -> None:
    heavy = ("flwr", "torch", "django")
    program = f"import sys, fedstudy_core.{module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"

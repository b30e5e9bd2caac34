"""What the portal, or the way to it, answers when something cannot be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field of what was sent."""

    field: str
    code: str
    detail: str


class FedStudyProblem(Exception):
    """The portal refused a request, or could not be reached.

    Attributes:
        code: stable; programs go by it (`E_NOT_FOUND`, `E_BUNDLE_PATH`, ...). `E_UNREACHABLE` and `E_ANSWER` are the
            client's own: no answer, and an answer that is none of the portal's.
        detail: a sentence for people.
        status: the HTTP status; 0 when there was no answer.
        errors: one entry for each wrong field.
    """

    def __init__(self, code: str, detail: str, *, status: int = 0, errors: tuple[FieldProblem, ...] = ()) -> None:
        self.code = code
        self.detail = detail
        self.status = status
        self.errors = errors
        fields = "".join(f"\n  {error.field or 'input'}: {error.detail}" for error in errors)
        super().__init__(f"{code}: {detail}{fields}")

    @classmethod
    def from_body(cls, body: Mapping[str, Any], status: int) -> FedStudyProblem:
        """The problem that problem details describe."""
        errors = tuple(
            FieldProblem(str(entry.get("field", "")), str(entry.get("code", "")), str(entry.get("detail", "")))
            for entry in body.get("errors", ())
        )
        return cls(str(body["code"]), str(body.get("detail", "")), status=status, errors=errors)

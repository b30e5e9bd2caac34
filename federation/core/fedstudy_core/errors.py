"""Errors that people and programs can act on: a stable code and a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from fedstudy_core.codes import CODES


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field of an input."""

    field: str
    code: str
    detail: str


class FedStudyError(Exception):
    """Something that could not be done.

    Attributes:
        code: stable, from `fedstudy_core.codes`.
        detail: a sentence for people, about this very case; the code's own sentence by default.
        status: the HTTP status that the portal answers with.
        errors: problems by field, where the input has fields.
    """

    default_status: ClassVar[int] = 500

    def __init__(
        self, code: str, detail: str = "", *, status: int | None = None, errors: Sequence[FieldProblem] = ()
    ) -> None:
        if code not in CODES:
            raise ValueError(f"unknown error code {code}")
        self.code = code
        self.detail = detail or CODES[code]
        self.status = self.default_status if status is None else status
        self.errors = tuple(errors)
        super().__init__(f"{code}: {self.detail}")


class Refusal(FedStudyError):
    """Not done because a rule says so."""

    default_status = 409


class Invalid(FedStudyError):
    """The input does not fit."""

    default_status = 400


class Forbidden(FedStudyError):
    """The person may not do this."""

    default_status = 403


class NotFound(FedStudyError):
    """There is no such thing, or the person may not know of it."""

    default_status = 404


class Conflict(FedStudyError):
    """The thing is not in a state that allows this."""

    default_status = 409

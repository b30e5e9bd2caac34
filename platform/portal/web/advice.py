"""What people are told of errors: sentences in their language, and pages that say what happened and what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from structlog.contextvars import get_contextvars


@dataclass(frozen=True)
class Advice:
    """What a page says; `explanation` is what happened."""

    title: str
    explanation: str
    advice: str


NOT_ALLOWED = Advice(
    gettext_noop("Your role does not allow this"),
    gettext_noop("Your account may not do this here."),
    gettext_noop("The study's principal investigator or your site's admin can give you a role."),
)
TOO_OLD = Advice(
    gettext_noop("This form is too old"),
    gettext_noop("The form was open for long, or cookies are off, so the portal cannot be sure that you sent it."),
    gettext_noop(
        "Nothing was changed. Go back, reload the page, and send it again. If it stays, allow cookies for this address."
    ),
)
NOT_NOW = Advice(
    gettext_noop("This is not possible now"),
    gettext_noop("It does not fit how things stand."),
    gettext_noop("Somebody may have changed it meanwhile. Go back, reload the page, and look again."),
)
OUR_SIDE = Advice(
    gettext_noop("Something went wrong on our side"),
    gettext_noop("The portal met an error that it did not expect. What was saved before is safe; runs go on."),
    gettext_noop("Try again in a minute. If it stays, ask your platform administrator, and quote the request below."),
)
BY_STATUS = {
    400: Advice(
        gettext_noop("This did not fit"),
        gettext_noop("The browser sent something that the portal does not understand."),
        gettext_noop("Go back, correct it and send it again. Nothing was changed."),
    ),
    403: NOT_ALLOWED,
    404: Advice(
        gettext_noop("There is no such page"),
        gettext_noop("There is nothing at this address that your account sees."),
        gettext_noop(
            "It may have moved, or it belongs to a study or site that your account does not see. Check the address, or "
            "ask who sent it to you to have a role given to you."
        ),
    ),
    409: NOT_NOW,
    413: Advice(
        gettext_noop("This is too large"),
        gettext_noop("The portal does not take that much at once. Nothing of it was kept."),
        gettext_noop("Send a smaller file. Your platform administrator can raise the limit."),
    ),
    429: Advice(
        gettext_noop("Too many tries"),
        gettext_noop("The portal takes only so many tries in a while."),
        gettext_noop("Wait a minute, then try once more. Nothing is locked for good."),
    ),
}


def said(words: str) -> str:
    """What a service or a code says, in the reader's language; what has a name or a number in it stays as it is."""
    return _(words)


class Coded(Protocol):
    """An error, or what became of one."""

    @property
    def code(self) -> str: ...

    @property
    def detail(self) -> str: ...


def said_with_code(error: Coded) -> str:
    """What went wrong, as a line of its own."""
    return f"{said(error.detail)} ({error.code})"


def advice_for(status: int, explanation: str = "") -> Advice:
    """What to say of a status, with what happened in this very case where that is known."""
    found = BY_STATUS.get(status, OUR_SIDE if status >= 500 else NOT_NOW)
    return replace(found, explanation=explanation) if explanation else found


def words_of(status: int, *, code: str = "", advice: Advice | None = None) -> dict[str, object]:
    """What `errors/error.html` shows; the request's id is that of the log line."""
    found = advice or advice_for(status)
    return {
        "status": status,
        "title": said(found.title),
        "explanation": said(found.explanation),
        "advice": said(found.advice),
        "code": code,
        "request_id": get_contextvars().get("request_id", ""),
    }

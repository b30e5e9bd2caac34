"""What scripts in the browser say, in the language of the page."""

from __future__ import annotations

from django.utils.translation import gettext, gettext_noop

SAID = (
    gettext_noop("Switch to the light theme"),
    gettext_noop("Switch to the dark theme"),
    gettext_noop("Copied."),
    gettext_noop("Selected. Press Control and C to copy."),
    gettext_noop("now"),
    gettext_noop("in {time}"),
    gettext_noop("{time} ago"),
    gettext_noop("here: {time}"),
    gettext_noop("Connection lost, trying again"),
    gettext_noop("Live"),
    gettext_noop("Not up to date since {time}: no connection. Trying again."),
    gettext_noop("You are signed out. Reload the page to sign in again."),
)


def said_in_browser() -> dict[str, str]:
    """The English texts with what they are in the page's language; nothing for those that stay as they are."""
    return {text: gettext(text) for text in SAID if gettext(text) != text}

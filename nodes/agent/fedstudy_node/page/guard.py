"""What every request to the page passes: the right host, a bounded body, and from our own page if it changes anything.

It also sets the headers of every answer.
"""

from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fedstudy_node.page.address import PageAddress

LARGEST_BODY = 64 * 1024
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(),"
    " geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
_SAFE = frozenset({"GET", "HEAD"})


class Guard:
    """ASGI middleware of one page."""

    def __init__(self, app: ASGIApp, address: PageAddress) -> None:
        self._app = app
        self._address = address
        strict = {"Strict-Transport-Security": "max-age=31536000"} if address.secure else {}
        self._headers = {**HEADERS, **strict}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the page answer."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        refused = self._refuse(scope["method"], Headers(scope=scope))
        if refused is not None:
            await refused(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _refuse(self, method: str, headers: Headers) -> PlainTextResponse | None:
        if headers.getlist("host") != [self._address.authority]:
            return PlainTextResponse("This page answers for its own host name only.", 421)
        if _too_long(headers.getlist("content-length")) or "transfer-encoding" in headers:
            return PlainTextResponse("The request is too large.", 413)
        if method not in _SAFE and not self._from_here(headers):
            return PlainTextResponse("The request does not come from this page.", 403)
        return None

    def _from_here(self, headers: Headers) -> bool:
        """Whether a browser says that our own page sent this.

        Browsers write "null" as the origin of a form where no referrer is told; then they say in words whence it comes.
        """
        origin = headers.get("origin")
        if origin in (None, "null"):
            return headers.get("sec-fetch-site") == "same-origin"
        return origin == self._address.origin and headers.get("sec-fetch-site", "same-origin") == "same-origin"


def _too_long(lengths: Iterable[str]) -> bool:
    return any(not (text.isascii() and text.isdigit()) or int(text) > LARGEST_BODY for text in lengths)

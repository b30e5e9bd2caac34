"""Large bodies over HTTP, a megabyte at a time.

httpx reads 64 KiB at a time and has a parser in Python look at each, which for a large model is most of what fetching
it costs. Here each body has a connection of its own, read and written by Python's own client.
"""

import ssl
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection

import httpx

PART = 1024 * 1024


class BulkTransport(httpx.BaseTransport):
    """Carries the requests of an httpx client that moves large bodies. It knows no proxies."""

    def __init__(self, trust: ssl.SSLContext, timeout_s: float) -> None:
        self._trust, self._timeout_s = trust, timeout_s

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read the head of its answer. Raises httpx.NetworkError."""
        connection = self._connection_to(request.url)
        try:
            answer = _exchange(connection, request)
        except (OSError, HTTPException) as error:
            connection.close()
            raise httpx.NetworkError(f"{type(error).__name__}: {error}", request=request) from error
        except BaseException:
            connection.close()
            raise
        return httpx.Response(answer.status, headers=answer.getheaders(), stream=_Body(connection, answer))

    def _connection_to(self, url: httpx.URL) -> HTTPConnection:
        # a port is always named: without one, the client takes the end of an IPv6 address for it
        if url.scheme == "https":
            return HTTPSConnection(url.host, url.port or 443, timeout=self._timeout_s, context=self._trust)
        return HTTPConnection(url.host, url.port or 80, timeout=self._timeout_s)


def _exchange(connection: HTTPConnection, request: httpx.Request) -> HTTPResponse:
    target = request.url.raw_path.decode("ascii")
    connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers.raw:
        connection.putheader(name, value)
    connection.endheaders()
    if not isinstance(request.stream, httpx.SyncByteStream):
        raise TypeError("the body of a request is sent by a thread, not by an event loop")
    with suppress(BrokenPipeError, ConnectionResetError):  # whoever wants no more of a body has answered
        for part in request.stream:
            connection.send(part)
    return connection.getresponse()


class _Body(httpx.SyncByteStream):
    """The body of an answer, as it comes."""

    def __init__(self, connection: HTTPConnection, answer: HTTPResponse) -> None:
        self._connection, self._answer = connection, answer

    def __iter__(self) -> Iterator[bytes]:
        try:
            while part := self._answer.read1(PART):
                yield part
        except (OSError, HTTPException) as error:
            raise httpx.ReadError(f"{type(error).__name__}: {error}") from error
        if self._answer.length:
            raise httpx.RemoteProtocolError(f"{self._answer.length} bytes of the body did not come")

    def close(self) -> None:
        self._answer.close()
        self._connection.close()

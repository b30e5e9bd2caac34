"""HTTP to the portal: one connection pool, the token, problems as exceptions, pages as iterators."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.request import getproxies, proxy_bypass
from uuid import uuid4

import httpx

from fedstudy_client.problem import FedStudyProblem

Json = dict[str, Any]
PAUSES = (0.3, 1.0, 3.0)
# Answers that are asked for again and again, such as a run that is followed.
MOST_KEPT, LARGEST_KEPT = 16, 256 * 1024


class Shown(dict[str, Any]):
    """A JSON object with the version of what it shows."""

    etag: str = ""


class Transport:
    """Speaks to one portal.

    Args:
        url: address of the portal, without /api.
        token: from a sign-in before; empty for none.
        timeout: seconds for one request.
        verify: False, or the path of a CA file, where the portal's certificate is not of a public authority.
        pauses: seconds before each repetition of a request that was cut off. Every write has a key of its own, by which
            the portal does it once, however often it comes.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        timeout: float = 60.0,
        verify: bool | str = True,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        if not (token.isascii() and token.isprintable()):
            raise FedStudyProblem("E_AUTHENTICATION", "The token has characters in it that no token has.")
        self.token = token
        self._pauses = tuple(pauses)
        self._condition = ""
        self._kept: OrderedDict[str, httpx.Response] = OrderedDict()
        try:
            self._http = httpx.Client(base_url=url.rstrip("/") + "/api/v1/", timeout=timeout, verify=verify)
        except (httpx.InvalidURL, ValueError) as error:
            raise FedStudyProblem("E_UNREACHABLE", f"“{url}” is no address of a portal: {error}") from error
        except OSError as error:
            raise FedStudyProblem("E_FILE", f"{verify} cannot be read as a certificate authority: {error}") from error

    def get(self, path: str, /, **query: Any) -> Json:
        """One object; what has not changed since it was asked for last does not travel again."""
        params = _given(query)
        name = str(self._http.build_request("GET", path, params=params).url)
        kept = self._kept.pop(name, None)
        held = {} if kept is None else {"If-None-Match": kept.headers["ETag"]}
        answer = self._send("GET", path, params=params, headers=held)
        response = kept if kept is not None and answer.status_code == httpx.codes.NOT_MODIFIED else answer
        shown = Shown(self._json(response))
        shown.etag = response.headers.get("ETag", "")
        if shown.etag and len(response.content) <= LARGEST_KEPT:
            self._kept[name] = response
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return shown

    @contextmanager
    def only_over(self, etag: str) -> Iterator[None]:
        """Inside, the first write is done only if its object still has this version (else E_PRECONDITION)."""
        self._condition = etag
        try:
            yield
        finally:
            self._condition = ""

    def each(self, path: str, /, **query: Any) -> Iterator[Json]:
        """Every object of a list, page by page."""
        cursor: str | None = None
        while True:
            page = self.get(path, **query, cursor=cursor)
            yield from page["results"]
            cursor = page["next"]
            if cursor is None:
                return

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """Send an object; the answer, or an empty object where there is none."""
        return self._json(self._send("POST", path, json=dict(body or {})))

    def patch(self, path: str, body: Mapping[str, Any]) -> Json:
        """Change some fields of an object."""
        return self._json(self._send("PATCH", path, json=dict(body)))

    def put(self, path: str, body: Mapping[str, Any]) -> Json:
        """Put an object in a place."""
        return self._json(self._send("PUT", path, json=dict(body)))

    def delete(self, path: str) -> None:
        """Take something away."""
        self._send("DELETE", path)

    def upload(self, path: str, field: str, name: str, content: bytes, **further: str) -> Json:
        """Send a file as a form, with `further` fields beside it."""
        files = {field: (name, content, "application/octet-stream")}
        return self._json(self._send("POST", path, files=files, data=further))

    def download(self, path: str, /, **query: Any) -> bytes:
        """The bytes of a file."""
        return self._send("GET", path, params=_given(query), headers={"Accept": "*/*"}).content

    def call(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None
    ) -> bytes:
        """Any request; the content of the answer. Raises FedStudyProblem (E_INVALID) for a path elsewhere."""
        options: dict[str, Any] = {} if body is None else {"json": dict(body)}
        return self._send(
            method, below_api(path), params=_given(query or {}), headers={"Accept": "application/json, */*"}, **options
        ).content

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Accept": "application/json", **options.pop("headers", {})}
        if self.token:
            headers["Authorization"] = f"Token {self.token}"
        if self.token and method != "GET":
            headers["Idempotency-Key"] = str(uuid4())
        if self._condition and method != "GET":
            headers["If-Match"], self._condition = self._condition, ""
        # without a token nobody knows whose key it would be: such a write is sent once
        pauses = self._pauses if self.token or method == "GET" else ()
        request = self._http.build_request(method, path, headers=headers, **options)
        for pause in pauses:
            try:
                return self._answer(request)
            except FedStudyProblem as problem:
                if problem.code not in ("E_UNREACHABLE", "E_IDEMPOTENCY_BUSY"):
                    raise
            time.sleep(pause)
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        try:
            response = self._http.send(request)
        except httpx.HTTPError as error:
            raise FedStudyProblem("E_UNREACHABLE", _unreached(request.url, error)) from error
        if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
            return response
        raise _problem(response)

    @staticmethod
    def _json(response: httpx.Response) -> Json:
        if response.status_code == 204:
            return {}
        try:
            body = response.json()
        except ValueError as error:
            raise _strange(response) from error
        if not isinstance(body, dict):
            raise _strange(response)
        return body

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def below_api(path: str) -> str:
    """A path below /api/v1/, also where it was written with that. Raises FedStudyProblem (E_INVALID).

    The token goes with a request: no other portal and no page may be named.
    """
    below = path.removeprefix("/").removeprefix("api/v1/")
    if not below or ":" in below.partition("/")[0] or below.startswith("/") or ".." in below.split("/"):
        raise FedStudyProblem("E_INVALID", f"“{path}” is no path below /api/v1/, such as studies or runs/ID.")
    return below


def _given(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _problem(response: httpx.Response) -> FedStudyProblem:
    try:
        body = response.json()
    except ValueError:
        return _strange(response)
    if not isinstance(body, dict) or "code" not in body:
        return _strange(response)
    return FedStudyProblem.from_body(body, response.status_code)


def _strange(response: httpx.Response) -> FedStudyProblem:
    told = f"{response.request.url} answered {response.status_code}, but not as a FedStudy portal does."
    if response.status_code == httpx.codes.NOT_FOUND:
        told += " Is it the portal's own address, without a page's?"
    if response.has_redirect_location:
        told += f" It points to {response.headers['Location']}: is the portal's address right?"
    return FedStudyProblem("E_ANSWER", told, status=response.status_code)


def _unreached(url: httpx.URL, error: httpx.HTTPError) -> str:
    """Why nothing came, and what to look at."""
    where = f"{url.scheme}://{url.netloc.decode('ascii')}"
    if isinstance(error, httpx.ProxyError):
        return f"The proxy on the way to {where} refuses: {error}. Look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return f"The certificate of {where} is not trusted here: {error}. Name its authority (fedstudy login --ca)."
    reason = str(error) or type(error).__name__
    proxy = _proxy(url)
    through = f" through the proxy {proxy} (HTTPS_PROXY, HTTP_PROXY, NO_PROXY)" if proxy else ""
    return f"{where} does not answer{through}: {reason}"


def _proxy(url: httpx.URL) -> str:
    """The proxy that the environment names for an address, without its password; "" for none."""
    named = getproxies()
    proxy = "" if proxy_bypass(url.host) else named.get(url.scheme, named.get("all", ""))
    return str(httpx.URL(proxy).copy_with(username=None, password=None)) if proxy else ""

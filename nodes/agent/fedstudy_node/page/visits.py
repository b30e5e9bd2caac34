"""One request: who asks, what they sent, and how it is answered."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from fedstudy_core.approvers import ApproverKey
from fedstudy_core.errors import FedStudyError, Forbidden, Invalid, NotFound
from fedstudy_node.errors import NodeError
from fedstudy_node.page.front import Front, templates
from fedstudy_node.page.sessions import Session

log = structlog.get_logger()

_STATUSES = {"E_NOT_FOUND": 404, "E_DATASET": 404}


@dataclass
class Visit:
    """One request of one session. `person` is who signed in; views for strangers see None.

    Attributes:
        path: the parts of the address that the route names.
        form: what a form sent, or a script as JSON.
    """

    front: Front
    session: Session
    request: Request
    person: ApproverKey | None
    path: Mapping[str, str]
    form: Mapping[str, Any] = field(default_factory=dict)

    @property
    def signed_in(self) -> ApproverKey:
        """The person. Raises Forbidden (E_AUTHENTICATION)."""
        if self.person is None:
            raise Forbidden("E_AUTHENTICATION")
        return self.person

    def text(self, name: str) -> str:
        """Return one line of a form, "" where it is missing."""
        value = self.form.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    def number(self, name: str, default: int) -> int:
        """Return a whole number of a form. Raises Invalid (E_INVALID)."""
        written = self.text(name)
        if not written:
            return default
        if not written.isascii() or not written.isdigit() or len(written) > 12:
            raise Invalid("E_INVALID", f"“{written[:40]}” is not a whole number.")
        return int(written)

    def query(self, name: str) -> str:
        """Return a part of the address's query."""
        return self.request.query_params.get(name, "")

    def page_number(self) -> int:
        """Return the page that the query asks for, from 1."""
        written = self.query("page")
        return max(int(written), 1) if written.isascii() and written.isdigit() and len(written) < 7 else 1

    def render(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """Answer with a page."""
        settings = self.front.home.settings()
        content = (
            templates()
            .get_template(template)
            .render(visit=self, here=self.request.url.path, settings=settings, **values)
        )
        return HTMLResponse(content, status)

    def go(self, path: str) -> Response:
        """Answer a form: the browser goes to another page."""
        return RedirectResponse(path, 303)

    def keep(self, session: Session, response: Response) -> Response:
        """Have the browser carry a session."""
        address = self.front.address
        response.set_cookie(
            address.cookie, session.id, httponly=True, samesite="strict", secure=address.secure, path="/"
        )
        return response


View = Callable[[Visit], Response]
Endpoint = Callable[[Request], Any]


def endpoint(front: Front, view: View, *, strangers: bool = False) -> Endpoint:
    """Return what Starlette calls for a view. Only `strangers=True` lets people in who are not signed in."""

    async def answer(request: Request) -> Response:
        body = await request.body()
        return await run_in_threadpool(_serve, front, view, strangers, request, body)

    return answer


def _serve(front: Front, view: View, strangers: bool, request: Request, body: bytes) -> Response:
    """Find the session, check the form's token, let the view answer; turn refusals into pages."""
    session_id = request.cookies.get(front.address.cookie, "")
    reads = request.method in ("GET", "HEAD")
    if reads and not session_id and request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return _arrive(request)
    session = front.sessions.find(session_id)
    is_new = session is None
    session = session or front.sessions.begin()
    visit = Visit(front, session, request, _person(front, session), request.path_params)
    try:
        response = _answer(visit, view, strangers, reads, body)
    except FedStudyError as error:
        response = _refused(visit, error)
    return visit.keep(session, response) if is_new and "set-cookie" not in response.headers else response


def _answer(visit: Visit, view: View, strangers: bool, reads: bool, body: bytes) -> Response:
    if reads:
        return view(visit) if strangers or visit.person else _to_sign_in(visit.request)
    visit.form = _read(visit.request, body)
    token = visit.request.headers.get("x-fedstudy-token") or visit.text("token")
    if not visit.session.fits(token):
        raise Forbidden("E_AUTHENTICATION", "This page was open for too long: load it again.")
    if not strangers and visit.person is None:
        raise Forbidden("E_AUTHENTICATION")
    with visit.front.lock:
        return view(visit)


def _person(front: Front, session: Session) -> ApproverKey | None:
    """Return who signed in; a session of somebody who is trusted no more ends."""
    if not session.approver:
        return None
    found = next((entry for entry in front.passkeys() if entry.id == session.approver), None)
    if found is None:
        session.approver = ""
    return found


def _read(request: Request, body: bytes) -> Mapping[str, Any]:
    """Return what was sent. Raises Invalid (E_INVALID)."""
    try:
        if is_json(request):
            value = json.loads(body.decode("utf-8"))
        else:
            value = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=200))
    except (ValueError, RecursionError) as error:
        raise Invalid("E_INVALID") from error
    if not isinstance(value, dict):
        raise Invalid("E_INVALID")
    return value


def is_json(request: Request) -> bool:
    """Whether our own script sent this, and reads the answer."""
    return request.headers.get("content-type", "").partition(";")[0] == "application/json"


def _to_sign_in(request: Request) -> Response:
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?next={quote(asked, safe='')}", 303)


def _arrive(request: Request) -> Response:
    """Greet somebody who followed a link from another site.

    Browsers keep a strict cookie back on such a visit. This page leads to the same address at once, and on that way the
    cookie comes along.
    """
    path = local_path(request.url.path)
    return HTMLResponse(templates().get_template("arrive.html").render(path=path))


def local_path(text: str) -> str:
    """Return a path on this very page; "/" for anything else."""
    plain = text.isascii() and text.isprintable() and "\\" not in text
    return text if plain and text.startswith("/") and not text.startswith("//") else "/"


def _refused(visit: Visit, error: FedStudyError) -> Response:
    """Answer with the code and the sentence of a refusal."""
    status = error.status
    if isinstance(error, NodeError):
        status = _STATUSES.get(error.code, 409)
    log.info("page_refused", path=visit.request.url.path, code=error.code)
    if is_json(visit.request):
        return JSONResponse({"code": error.code, "detail": error.detail}, status)
    return visit.render("error.html", status=status, error=error)


def missing(visit: Visit) -> Response:
    """Answer for an address that is none."""
    raise NotFound("E_NOT_FOUND", "There is no such page.")

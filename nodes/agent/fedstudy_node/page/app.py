"""The page as an ASGI application: its addresses, and the guard around them."""

from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from fedstudy_node.page.front import HERE, Front
from fedstudy_node.page.guard import Guard
from fedstudy_node.page.views import approvals, entry, inbox, node, policies, records, review, signing
from fedstudy_node.page.visits import View, endpoint, missing


def build(front: Front) -> ASGIApp:
    """Return the application of one node's page."""
    routes = [
        Mount("/static", StaticFiles(directory=HERE / "static")),
        *(_route(front, "GET", path, view, strangers=True) for path, view in READ_BY_STRANGERS),
        *(_route(front, "POST", path, view, strangers=True) for path, view in CHANGED_BY_STRANGERS),
        *(_route(front, "GET", path, view) for path, view in READ),
        *(_route(front, "POST", path, view) for path, view in CHANGED),
        # also for /.well-known/webauthn, by which another site could be let in to this node's passkeys
        _route(front, "GET", "/{rest:path}", missing, strangers=True),
    ]
    return Guard(Starlette(routes=routes), front.address)


def _route(front: Front, method: str, path: str, view: View, *, strangers: bool = False) -> Route:
    return Route(path, endpoint(front, view, strangers=strangers), methods=[method])


READ_BY_STRANGERS: tuple[tuple[str, View], ...] = (
    ("/sign-in", entry.sign_in_page),
    ("/register", entry.register_page),
)
CHANGED_BY_STRANGERS: tuple[tuple[str, View], ...] = (
    ("/sign-in", entry.sign_in),
    ("/sign-in/options", entry.sign_in_options),
    ("/register", entry.register),
    ("/register/options", entry.register_options),
)
READ: tuple[tuple[str, View], ...] = (
    ("/", inbox.inbox),
    ("/review/{version}", review.show),
    ("/sign/{document}", signing.show),
    ("/approvals", approvals.approvals),
    ("/approvals/{approval}", approvals.approval),
    ("/policies", policies.policies),
    ("/datasets", node.datasets),
    ("/work", node.work),
    ("/left", records.left),
    ("/journal", records.journal),
    ("/people", node.people),
    ("/about", node.about),
)
CHANGED: tuple[tuple[str, View], ...] = (
    ("/sign-out", entry.sign_out),
    ("/refresh", inbox.refresh),
    ("/review/{version}", review.write),
    ("/sign/{document}", signing.sign),
    ("/sign/{document}/drop", signing.drop),
    ("/approvals/{approval}/revoke", approvals.revoke),
    ("/policies", policies.write),
    ("/policies/{policy}/revoke", policies.revoke),
    ("/work/pause", node.pause),
    ("/work/resume", node.resume),
    ("/work/veto", node.veto),
)

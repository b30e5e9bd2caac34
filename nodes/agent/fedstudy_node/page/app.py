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

    def read(path: str, view: View, *, strangers: bool = False) -> Route:
        return Route(path, endpoint(front, view, strangers=strangers), methods=["GET"])

    def change(path: str, view: View, *, strangers: bool = False) -> Route:
        return Route(path, endpoint(front, view, strangers=strangers), methods=["POST"])

    routes = [
        Mount("/static", StaticFiles(directory=HERE / "static")),
        read("/sign-in", entry.sign_in_page, strangers=True),
        change("/sign-in", entry.sign_in, strangers=True),
        change("/sign-in/options", entry.sign_in_options, strangers=True),
        change("/sign-out", entry.sign_out),
        read("/register", entry.register_page, strangers=True),
        change("/register", entry.register, strangers=True),
        change("/register/options", entry.register_options, strangers=True),
        read("/", inbox.inbox),
        change("/refresh", inbox.refresh),
        read("/review/{version}", review.show),
        change("/review/{version}", review.write),
        read("/sign/{document}", signing.show),
        change("/sign/{document}", signing.sign),
        change("/sign/{document}/drop", signing.drop),
        read("/approvals", approvals.approvals),
        read("/approvals/{approval}", approvals.approval),
        change("/approvals/{approval}/revoke", approvals.revoke),
        read("/policies", policies.policies),
        change("/policies", policies.write),
        change("/policies/{policy}/revoke", policies.revoke),
        read("/datasets", node.datasets),
        read("/work", node.work),
        change("/work/pause", node.pause),
        change("/work/resume", node.resume),
        change("/work/veto", node.veto),
        read("/left", records.left),
        read("/journal", records.journal),
        read("/people", node.people),
        read("/about", node.about),
        # also for /.well-known/webauthn, by which another site could be let in to this node's passkeys
        read("/{rest:path}", missing, strangers=True),
    ]
    return Guard(Starlette(routes=routes), front.address)

"""Flower's middlewares, joined: the same ones in the same order, for a third of the work.

Nine of them stand around each request at the SuperLink, and each starts a task and a stream of messages of its own
(Starlette's `BaseHTTPMiddleware`): 4 of the 9 ms of processor time that a request took, most of what the SuperLink does
in a round of a small model. Here one such wrapping holds them all, and each calls the next. None is left out, whatever
the request: who is refused there is refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from itertools import groupby
from typing import ParamSpec

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, DispatchFunction, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from fedstudy_core.superlink.bodies import WholeBodies

P = ParamSpec("P")


class Joined(BaseHTTPMiddleware):
    """Several middlewares, the outermost first, as one."""

    def __init__(self, app: ASGIApp, steps: Sequence[Middleware]) -> None:
        super().__init__(app)
        self._steps = [_dispatch_of(step, app) for step in reversed(steps)]

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Answer a request by way of all of them."""
        for step in self._steps:
            call_next = _around(call_next, step)
        return await call_next(request)


def _dispatch_of(step: Middleware, app: ASGIApp) -> DispatchFunction:
    made = step.cls(app, *step.args, **step.kwargs)
    if not isinstance(made, BaseHTTPMiddleware):
        raise TypeError(f"{step!r} makes no BaseHTTPMiddleware")
    return made.dispatch_func


def _around(call_next: RequestResponseEndpoint, step: DispatchFunction) -> RequestResponseEndpoint:
    async def call(request: Request) -> Response:
        return await step(request, call_next)

    return call


def joined(middlewares: Sequence[Middleware]) -> list[Middleware]:
    """The same middlewares: those that follow each other as one, and what is of another kind as it is."""
    outcome: list[Middleware] = []
    for may_be_joined, group in groupby(middlewares, _is_dispatched):
        steps = list(group)
        outcome += [Middleware(Joined, steps=steps)] if may_be_joined else steps
    return outcome


def _is_dispatched(middleware: Middleware) -> bool:
    """Whether it does its work by `dispatch` and nothing else."""
    made, base = middleware.cls, BaseHTTPMiddleware
    return isinstance(made, type) and issubclass(made, base) and made.__call__ is base.__call__


def joining(create_app: Callable[P, FastAPI]) -> Callable[P, FastAPI]:
    """What makes an app, so that the middlewares of what it makes are joined, and bodies come to them whole."""

    @wraps(create_app)
    def create(*args: P.args, **kwargs: P.kwargs) -> FastAPI:
        app = create_app(*args, **kwargs)
        app.user_middleware[:] = [Middleware(WholeBodies), *joined(app.user_middleware)]
        return app

    return create

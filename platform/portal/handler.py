"""Django under an ASGI server, with one change of threads for a page."""

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class Handler(ASGIHandler):
    """Runs middleware and view one after the other in the request's own thread.

    Django's own goes back to the event loop between them, and for each middleware that looks at views. At every change
    the thread that is to go on waits until another one, at work on another page, lets the interpreter go. A view that
    is asynchronous still runs in the event loop.
    """

    def __init__(self) -> None:
        super(ASGIHandler, self).__init__()
        self.load_middleware()

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response)(request)

"""Tests of the Django project itself: environment, logs, middleware, ASGI."""

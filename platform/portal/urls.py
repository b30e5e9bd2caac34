"""Addresses of the portal: the API under /api/v1/, the health check, and the pages."""

from django.urls import include, path

from portal.api.health import healthz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("api/v1/", include("portal.api.urls")),
    path("", include("portal.web.urls")),
]

handler400 = "portal.failures.bad_request"
handler403 = "portal.failures.forbidden"
handler404 = "portal.failures.not_found"
handler500 = "portal.failures.server_error"

"""The portal as an ASGI application: `uvicorn portal.asgi:application`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from django.conf import settings

from portal.body_limit import BodyLimit
from portal.failures import too_large_page
from portal.freight import FreightDoor
from portal.pool_door import PoolDoor

application = FreightDoor(
    PoolDoor(
        BodyLimit(
            django_application,
            body=settings.FEDSTUDY_MAX_BODY,
            upload=settings.FEDSTUDY_MAX_UPLOAD,
            page=too_large_page,
        )
    )
)

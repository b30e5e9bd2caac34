"""The portal as an ASGI application: `uvicorn portal.asgi:application`."""

import gc
import os
import sys
from importlib import import_module

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

import django

django.setup(set_prefix=False)

from django.conf import settings

from portal.body_limit import BodyLimit
from portal.failures import too_large_page
from portal.freight import FreightDoor
from portal.handler import Handler
from portal.pool_door import PoolDoor
from portal.starting import Start

application = Start(
    FreightDoor(
        PoolDoor(
            BodyLimit(
                Handler(),
                body=settings.FEDSTUDY_MAX_BODY,
                upload=settings.FEDSTUDY_MAX_UPLOAD,
                page=too_large_page,
            )
        )
    )
)

# What is loaded stays: the collector need not look through it again for each few hundred objects that a page makes.
import_module(settings.ROOT_URLCONF)
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 10, 10)

# A page that asks the database waits, after each answer, until a thread at work on another page lets the interpreter
# go: 5 ms if nobody says otherwise, at each of some 15 questions.
sys.setswitchinterval(0.0005)

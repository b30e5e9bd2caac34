"""The portal's settings for tools that read its models and start nothing, such as mypy's Django plugin."""

import os

for name, value in {
    "FEDSTUDY_PROFILE": "test",
    "FEDSTUDY_SECRET_KEY": "static",
    "FEDSTUDY_DATABASE_URL": "postgresql:///static",
    "FEDSTUDY_REDIS_URL": "redis://localhost",
    "FEDSTUDY_DATA_DIR": ".fedstudy/static",
}.items():
    os.environ.setdefault(name, value)

from portal.settings import *

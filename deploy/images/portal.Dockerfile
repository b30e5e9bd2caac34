# Portal, workers and beat: one image, three commands (see docker-compose.yml). Build from the repository's root.
#
# To pin the base by content as well, give PYTHON as name@sha256:digest.
ARG PYTHON=python:3.13.9-slim-trixie

FROM ${PYTHON} AS build
# What scripts' own ServerApps import beside numpy and Flower: "torch scikit-learn xgboost-cpu".
ARG SERVER_APP_PACKAGES=
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1
COPY requirements.lock ./
# uv itself comes from the lock too; it holds every package to the lock's version and hash.
RUN awk '/^[a-z]/ {wanted = /^uv==/} wanted' requirements.lock > uv.lock && pip install --require-hashes -r uv.lock
RUN python -m venv /opt/venv \
 && uv pip install --python /opt/venv --constraints requirements.lock hatchling editables
COPY pyproject.toml README.md ./
COPY federation/core federation/core
RUN uv pip install --python /opt/venv --no-build-isolation --constraints requirements.lock -r pyproject.toml ./federation/core \
 && if [ -n "$SERVER_APP_PACKAGES" ]; then \
      uv pip install --python /opt/venv --constraints requirements.lock --torch-backend cpu $SERVER_APP_PACKAGES; \
    fi \
 && uv pip uninstall --python /opt/venv hatchling editables

FROM ${PYTHON}
# Scripts' own ServerApps run behind bubblewrap.
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends bubblewrap >/dev/null \
 && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 fedstudy \
 && useradd --uid 10001 --gid fedstudy --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin fedstudy \
 && install -d -o fedstudy -g fedstudy -m 0750 /var/lib/fedstudy
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY manage.py ./
COPY platform/accounts platform/accounts
COPY platform/audit platform/audit
COPY platform/notifications platform/notifications
COPY platform/webhooks platform/webhooks
COPY platform/portal platform/portal
COPY studies studies
COPY nodes/__init__.py nodes/__init__.py
COPY nodes/registry nodes/registry
COPY federation/__init__.py federation/__init__.py
COPY federation/runs federation/runs
COPY federation/degrees federation/degrees
COPY federation/dossiers federation/dossiers
COPY federation/releases federation/releases
COPY federation/serverapps federation/serverapps
COPY federation/strategies federation/strategies
COPY federation/library federation/library
COPY templates templates
COPY static static
COPY deploy/images/entrypoint.sh deploy/images/check.py deploy/images/
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app:/app/platform \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=portal.settings \
    FEDSTUDY_STATIC_ROOT=/app/collected
# Nothing here is used when the portal runs: collecting static files reads the settings, which insist on a value.
RUN FEDSTUDY_SECRET_KEY=build FEDSTUDY_DATABASE_URL=postgresql:///build FEDSTUDY_REDIS_URL=redis://build \
    FEDSTUDY_DATA_DIR=/tmp/build python manage.py collectstatic --no-input --verbosity 0 && rm -rf /tmp/build
USER 10001:10001
VOLUME /var/lib/fedstudy
EXPOSE 8000
ENTRYPOINT ["/bin/sh", "/app/deploy/images/entrypoint.sh"]
CMD ["uvicorn", "portal.asgi:application", "--host=0.0.0.0", "--port=8000", "--lifespan=on", "--no-access-log"]

# Flower's SuperLink at the version FedStudy is built on, and how FedStudy starts it. Build from the repository's root.
ARG PYTHON=python:3.13.9-slim-trixie

FROM ${PYTHON} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1
COPY requirements.lock ./
RUN awk '/^[a-z]/ {wanted = /^uv==/} wanted' requirements.lock > uv.lock && pip install --require-hashes -r uv.lock
RUN python -m venv /opt/venv \
 && uv pip install --python /opt/venv --constraints requirements.lock flwr==1.41.0

FROM ${PYTHON}
RUN groupadd --gid 10002 superlink \
 && useradd --uid 10002 --gid superlink --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin superlink \
 && install -d -o superlink -g superlink -m 0750 /var/lib/superlink
COPY --from=build /opt/venv /opt/venv
COPY deploy/images/check.py /usr/local/bin/check.py
COPY federation/core/fedstudy_core/__init__.py /opt/fedstudy/fedstudy_core/__init__.py
COPY federation/core/fedstudy_core/memory.py /opt/fedstudy/fedstudy_core/memory.py
COPY federation/core/fedstudy_core/superlink /opt/fedstudy/fedstudy_core/superlink
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/fedstudy \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FLWR_HOME=/tmp/flower \
    FLWR_TELEMETRY_ENABLED=0 \
    FLWR_DISABLE_UPDATE_CHECK=1
USER 10002:10002
EXPOSE 9091
# Without certificates it does not start: there is no insecure default here.
CMD ["python", "-m", "fedstudy_core.superlink", "--enable-supernode-auth", "--isolation=process", "--disable-runtime-dependency-installation"]

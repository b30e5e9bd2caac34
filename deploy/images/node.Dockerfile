# What a hospital runs: the agent, and the libraries that study scripts may use. Nothing of the portal.
# Build from the repository's root.
#
# Scripts get what is installed here and nothing more: no package is ever fetched for a script. TORCH= (empty)
# leaves torch out, EXTRAS=[xgboost] adds XGBoost; a site with other needs builds its own image from this one.
ARG PYTHON=python:3.13.9-slim-trixie

FROM ${PYTHON} AS build
ARG TORCH=torch==2.13.0
ARG EXTRAS=
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1
COPY requirements.lock ./
RUN awk '/^[a-z]/ {wanted = /^uv==/} wanted' requirements.lock > uv.lock && pip install --require-hashes -r uv.lock
RUN python -m venv /opt/venv \
 && uv pip install --python /opt/venv --constraints requirements.lock hatchling editables
COPY federation/core federation/core
COPY nodes/agent nodes/agent
RUN uv pip install --python /opt/venv --no-build-isolation --constraints requirements.lock ./federation/core "./nodes/agent${EXTRAS}" \
 && if [ -n "$TORCH" ]; then \
      uv pip install --python /opt/venv --constraints requirements.lock filelock fsspec jinja2 networkx setuptools sympy \
      && uv pip install --python /opt/venv --no-deps --torch-backend cpu "$TORCH"; \
    fi \
 && uv pip uninstall --python /opt/venv hatchling editables

FROM ${PYTHON}
# The sandbox of scripts stands on bubblewrap.
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends bubblewrap >/dev/null \
 && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10003 node \
 && useradd --uid 10003 --gid node --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin node \
 && install -d -o node -g node -m 0700 /var/lib/fedstudy-node
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    FEDSTUDY_HOME=/var/lib/fedstudy-node \
    FLWR_HOME=/tmp/flower \
    FLWR_TELEMETRY_ENABLED=0 \
    FLWR_DISABLE_UPDATE_CHECK=1
USER 10003:10003
VOLUME /var/lib/fedstudy-node
CMD ["fedstudy-node", "run"]

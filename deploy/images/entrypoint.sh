#!/bin/sh
# Puts secrets, which arrive as files, where the portal looks for them, and becomes the command it was given.
set -eu

read_secret() {
  if [ ! -r "$1" ]; then
    echo "entrypoint: the secret file $1 is not there or cannot be read" >&2
    exit 78
  fi
  cat "$1"
}

if [ -n "${SECRET_KEY_FILE:-}" ]; then
  FEDSTUDY_SECRET_KEY=$(read_secret "$SECRET_KEY_FILE")
  export FEDSTUDY_SECRET_KEY
fi
if [ -n "${DATABASE_PASSWORD_FILE:-}" ]; then
  # libpq takes it when FEDSTUDY_DATABASE_URL names no password.
  PGPASSWORD=$(read_secret "$DATABASE_PASSWORD_FILE")
  export PGPASSWORD
fi
if [ -n "${BROKER_PASSWORD_FILE:-}" ]; then
  password=$(read_secret "$BROKER_PASSWORD_FILE")
  FEDSTUDY_REDIS_URL="redis://:${password}@${BROKER_HOST:-broker}:6379/0"
  export FEDSTUDY_REDIS_URL
fi
exec "$@"

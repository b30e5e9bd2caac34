#!/bin/sh
# Valkey as the broker: in memory only (it wakes workers and holds no truth), with a password read from a file.
# The configuration goes in by standard input so that the password is in no argument list and on no disk.
set -eu
password=$(cat /run/secrets/broker-password)
exec valkey-server - <<CONF
requirepass $password
bind 0.0.0.0
port 6379
protected-mode yes
save ""
appendonly no
dir /data
maxmemory 256mb
maxmemory-policy noeviction
CONF

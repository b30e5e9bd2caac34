#!/bin/sh
# Runs once, when the database is made. One role owns the tables and migrates them; the portal's role and the log's
# sequencer's own nothing, and get their rights with each migration (platform/audit/rights.py).
set -eu
psql --set=ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\set owner `cat /run/secrets/database-owner-password`
\set portal `cat /run/secrets/database-password`
\set sequencer `cat /run/secrets/database-log-password`
CREATE ROLE fedstudy_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'owner';
CREATE ROLE fedstudy LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'portal';
CREATE ROLE fedstudy_log LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'sequencer';
CREATE DATABASE fedstudy OWNER fedstudy_owner TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8';
REVOKE ALL ON DATABASE fedstudy FROM PUBLIC;
GRANT CONNECT ON DATABASE fedstudy TO fedstudy, fedstudy_log;
SQL

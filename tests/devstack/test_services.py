"""The session's own PostgreSQL and Valkey."""

import os

import psycopg
import redis


def test_postgres_answers_on_a_socket_only() -> None:
    with psycopg.connect(os.environ["FEDSTUDY_DATABASE_URL"]) as connection:
        row = connection.execute("SELECT inet_server_addr(), current_user, current_setting('fsync')").fetchone()
    assert row == (None, "fedstudy_owner", "off")


def test_postgres_sorts_by_code_points_and_knows_letters_beyond_ascii() -> None:
    with psycopg.connect(os.environ["FEDSTUDY_DATABASE_URL"]) as connection:
        assert connection.execute("SELECT upper('łódź'), 'B' < 'a'").fetchone() == ("ŁÓDŹ", True)


def test_valkey_answers_and_keeps_nothing_on_disk() -> None:
    with redis.Redis.from_url(os.environ["FEDSTUDY_REDIS_URL"]) as connection:
        assert connection.ping()
        assert connection.config_get("save") == {"save": ""}

"""The portal's configuration from environment variables."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from portal import environment


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDSTUDY_SECRET_KEY")
    with pytest.raises(ImproperlyConfigured, match="FEDSTUDY_SECRET_KEY"):
        environment.required("FEDSTUDY_SECRET_KEY")


@pytest.mark.parametrize(("text", "expected"), [("5", 5), ("", 7)])
def test_whole_numbers(monkeypatch: pytest.MonkeyPatch, text: str, expected: int) -> None:
    monkeypatch.setenv("FEDSTUDY_MAX_BODY", text)
    assert environment.whole_number("FEDSTUDY_MAX_BODY", 7) == expected


def test_a_number_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDSTUDY_MAX_BODY", "-1")
    with pytest.raises(ImproperlyConfigured, match="whole number"):
        environment.whole_number("FEDSTUDY_MAX_BODY", 7)


def test_an_unknown_profile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDSTUDY_PROFILE", "staging")
    with pytest.raises(ImproperlyConfigured, match="FEDSTUDY_PROFILE"):
        environment.profile()


def test_a_list_and_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDSTUDY_ALLOWED_HOSTS", "a.example, b.example,")
    monkeypatch.setenv("FEDSTUDY_SUPERLINK_CA", "/etc/ca.pem")
    assert environment.names("FEDSTUDY_ALLOWED_HOSTS") == ["a.example", "b.example"]
    assert environment.existing_path("FEDSTUDY_SUPERLINK_CA") == Path("/etc/ca.pem")
    assert environment.existing_path("FEDSTUDY_NOT_SET") is None


def test_a_database_by_host_with_an_escaped_password() -> None:
    url = "postgresql://fed:p%40ss@db.example:5433/study?sslmode=verify-full"
    found = environment.database(url, pool=True)
    assert (found["HOST"], found["PORT"], found["USER"], found["PASSWORD"]) == ("db.example", "5433", "fed", "p@ss")
    assert found["OPTIONS"]["sslmode"] == "verify-full"
    assert found["OPTIONS"]["pool"]["max_size"] == 16


def test_a_database_behind_a_unix_socket() -> None:
    found = environment.database("postgresql:///study?host=/run/pg&port=5499", pool=False)
    assert (found["HOST"], found["PORT"], found["NAME"]) == ("/run/pg", "5499", "study")
    assert "pool" not in found["OPTIONS"]


def test_another_database_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="postgresql"):
        environment.database("sqlite:///x", pool=False)


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("redis://cache:6379/2", "redis://cache:6379/2"),
        ("unix:///run/vk/socket", "redis+socket:///run/vk/socket?virtual_host=0"),
        ("unix:///run/vk/socket?db=3", "redis+socket:///run/vk/socket?virtual_host=3"),
    ],
)
def test_redis_as_celery_spells_it(url: str, broker: str) -> None:
    assert environment.Redis(url).broker_url == broker


def test_another_broker_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="redis"):
        environment.Redis("amqp://broker")

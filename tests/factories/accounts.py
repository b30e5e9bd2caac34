"""People and sites."""

from __future__ import annotations

import factory
from factory.django import DjangoModelFactory

from accounts import groups
from accounts.models import Site, User
from accounts.roles import Role

PASSWORD = "correct horse battery"


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User

    name = factory.Sequence(lambda number: f"Demo Person {number}")
    email = factory.Sequence(lambda number: f"person{number}@demo.example")


class SiteFactory(DjangoModelFactory[Site]):
    class Meta:
        model = Site

    name = factory.Sequence(lambda number: f"Demo Hospital {number}")
    short_name = factory.Sequence(lambda number: f"demo-{number}")


def platform_admin() -> User:
    return UserFactory.create(is_platform_admin=True)


def holder_of(role: Role, obj: object) -> User:
    """A new person who holds a role, past all rules about who may grant it."""
    user = UserFactory.create(name=f"Demo {role.label}")
    groups.group_for(role, obj).user_set.add(user)  # type: ignore[arg-type]
    return user

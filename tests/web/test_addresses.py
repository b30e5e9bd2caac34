"""Addresses made once for each kind."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from django.template import Context, Template
from django.urls import NoReverseMatch, get_resolver, reverse
from django.urls.converters import UUIDConverter

from portal.web.addresses import address


def test_they_are_those_of_django() -> None:
    of_web = get_resolver("portal.web.urls")
    tried = 0
    for name, ways in of_web.reverse_dict.lists():
        converters = ways[0][3]
        if isinstance(name, str) and all(isinstance(item, UUIDConverter) for item in converters.values()):
            ids = [uuid4() for _ in converters]
            assert address(f"web:{name}", *ids) == reverse(f"web:{name}", args=ids)
            tried += 1
    assert tried > 50


def test_other_arguments_are_left_to_django() -> None:
    study = UUID(int=7)
    expected = f"/studies/{study}/dictionary/draft/publish"
    assert address("web:dictionary-draft-change", study, "publish") == expected
    assert address("web:study", str(study)) == f"/studies/{study}"


@pytest.mark.parametrize("args", [(), ("not an id",), (UUID(int=1), UUID(int=2))])
def test_what_is_no_address_is_refused(args: tuple[object, ...]) -> None:
    with pytest.raises(NoReverseMatch):
        address("web:study", *args)


def test_templates_say_the_same() -> None:
    words = (
        '{% url "web:study" study %} {% url "web:studies" %} {% url "web:study" study_id=study as named %}{{ named }}'
    )
    study = uuid4()
    assert Template(words).render(Context({"study": study})) == f"/studies/{study} / /studies/{study}"

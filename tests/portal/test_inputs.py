"""What the API's bodies are read by."""

from rest_framework import serializers

from portal.api.base import MOST_TOLD, Input


class Order(Input):
    kinds = serializers.ListField(child=serializers.ChoiceField(choices=["completed", "failed"]))
    size = serializers.ChoiceField(choices=["small", "large"])
    number = serializers.ChoiceField(choices=[str(number) for number in range(MOST_TOLD + 1)])


def test_who_chose_what_is_not_offered_is_told_what_is() -> None:
    order = Order(data={"kinds": ["failed", "complete"], "size": "huge", "number": "x"})
    assert not order.is_valid()
    assert order.errors["size"] == ["“huge” is none of: small, large."]
    assert order.errors["kinds"] == {1: ["“complete” is none of: completed, failed."]}
    assert "0, 1, 2" not in str(order.errors["number"])

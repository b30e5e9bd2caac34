"""Short references that many answers hold."""

from rest_framework import serializers

from portal.api.base import Output


class NameOut(Output):
    """Something that an answer points to: its id and its name."""

    id = serializers.UUIDField()
    name = serializers.CharField()


class StudyName(Output):
    """The study that an answer points to."""

    id = serializers.UUIDField()
    name = serializers.CharField(source="title")

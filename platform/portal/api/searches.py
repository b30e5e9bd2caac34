"""Finding things by words."""

from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from portal.api.base import Input, Output, PersonRequest, checked, describe
from portal.search import FOUND, KINDS, LONGEST, search


class SearchQuery(Input):
    """What is looked for."""

    q = serializers.CharField(max_length=LONGEST, help_text="Beginnings of words, all of which must be there; or an id")
    kind = serializers.ChoiceField(choices=list(KINDS), required=False)


class HitOut(Output):
    """Something that was found."""

    kind = serializers.ChoiceField(choices=list(KINDS))
    id = serializers.UUIDField()
    title = serializers.CharField()
    detail = serializers.CharField(help_text="Where it belongs, or how it stands")


class Search(ViewSet):
    """Studies, sites, script versions, runs and accounts."""

    @describe(
        f"What words find among what one may see, at most {FOUND} of a kind",
        output=HitOut,
        many=True,
        parameters=[SearchQuery],
    )
    def list(self, request: PersonRequest) -> Response:
        wanted = checked(SearchQuery, request.query_params.dict())
        hits = search(request.user, wanted["q"], kind=wanted.get("kind", ""))
        return Response({"results": HitOut(hits, many=True).data, "next": None})

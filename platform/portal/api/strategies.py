"""The strategies that a run may choose."""

from typing import Any

from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from federation.strategies.catalogue import STRATEGIES
from portal.api.base import Output, PersonRequest, describe
from portal.api.conditions import Conditional


class StrategyNeedOut(Output):
    declared = serializers.CharField(help_text="The field of [tool.fedstudy] in the script's pyproject.toml")
    sentence = serializers.CharField(help_text="Goes on from: needs a script that")
    code = serializers.CharField(help_text="What a plan without it is refused with")


class StrategyOut(Output):
    name = serializers.CharField()
    title = serializers.CharField()
    summary = serializers.CharField()
    paper = serializers.CharField()
    weighting = serializers.CharField(help_text="What a site counts by: examples, equal, loss or none")
    asks = serializers.CharField(help_text="Sites are asked all at once, in turn, or one a round")
    model = serializers.CharField(help_text="arrays or trees")
    minimum_sites = serializers.IntegerField(help_text="Answers that a round needs with the parameters' defaults")
    minimum = serializers.CharField(source="minimum_formula", help_text="The same in terms of the parameters")
    needs = StrategyNeedOut(allow_null=True)
    parameters = serializers.SerializerMethodField()

    def get_parameters(self, strategy: Any) -> list[dict[str, Any]]:
        return [parameter.model_dump(mode="json") for parameter in strategy.parameters]


class Strategies(Conditional, ViewSet):
    @describe("The strategies that a run may choose", output=StrategyOut, many=True)
    def list(self, request: PersonRequest) -> Response:
        return Response({"results": StrategyOut(list(STRATEGIES.values()), many=True).data, "next": None})

"""A run's evaluation as the API answers it."""

from rest_framework import serializers

from portal.api.base import Output


class EstimateOut(Output):
    value = serializers.FloatField()
    interval = serializers.ListField(
        child=serializers.FloatField(), min_length=2, max_length=2, allow_null=True,
        help_text="Of 95 %, its lower and upper end; null where it cannot be estimated",
    )  # fmt: skip


class ErrorsOut(Output):
    threshold = serializers.FloatField(help_text="From this score on a row is called positive")
    true_positives = serializers.IntegerField()
    false_negatives = serializers.IntegerField()
    true_negatives = serializers.IntegerField()
    false_positives = serializers.IntegerField()
    sensitivity = EstimateOut(allow_null=True)
    specificity = EstimateOut(allow_null=True)
    precision = EstimateOut(allow_null=True, help_text="Positive predictive value")
    negative_precision = EstimateOut(allow_null=True, help_text="Negative predictive value")


class GroupOut(Output):
    low = serializers.FloatField()
    high = serializers.FloatField()
    rows = serializers.IntegerField()
    predicted = serializers.FloatField(help_text="Mean score")
    observed = EstimateOut(help_text="Share of positive rows")


class CalibrationOut(Output):
    groups = GroupOut(many=True)
    predicted = serializers.FloatField(help_text="Mean score of all rows")
    observed = serializers.FloatField(help_text="Share of positive rows of all rows")
    brier = serializers.FloatField()
    error = serializers.FloatField(help_text="Mean distance of the two over the groups, weighted by rows")


class AssessmentOut(Output):
    site = serializers.CharField(help_text="Empty for all sites together")
    site_id = serializers.CharField()
    positives = serializers.IntegerField(help_text="Rows tested")
    negatives = serializers.IntegerField(help_text="Rows tested")
    auc = EstimateOut()
    at_half = ErrorsOut()
    at_best = ErrorsOut(help_text="At the threshold with the largest sum of sensitivity and specificity")
    calibration = CalibrationOut()


class SubgroupOut(Output):
    """Rows tested with one value of a subgroup; the figures are null where no site told of them."""

    name = serializers.CharField(help_text="In the script, such as sex.female")
    subgroup = serializers.CharField()
    value = serializers.CharField()
    sites = serializers.IntegerField(help_text="Told of these rows")
    withheld = serializers.IntegerField(help_text="Sites that tested and withheld these rows, because they are too few")
    rows_band = serializers.CharField(help_text="Rows tested, as a band; empty where no site told")
    auc = EstimateOut(allow_null=True)
    sensitivity = EstimateOut(allow_null=True, help_text="At a threshold of 1/2")
    specificity = EstimateOut(allow_null=True, help_text="At a threshold of 1/2")


class EvaluationOut(Output):
    round = serializers.IntegerField()
    together = AssessmentOut()
    sites = AssessmentOut(many=True)
    subgroups = SubgroupOut(many=True, help_text="As the script declares them; empty where it declares none")

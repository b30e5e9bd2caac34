"""What the portal knows of a run: PostgreSQL is the only truth, Flower's run is one attempt of ours."""

from __future__ import annotations

import re
import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.functional import cached_property

from federation.runs import roles, states
from fedstudy_core.levels import PHASES_AT
from fedstudy_core.transport import AS_IS, TRANSPORTS

PRIORITIES = ("low", "normal", "high")
SENT, RECEIVED = "sent", "received"


class Run(models.Model):
    """One execution of a submitted script version with a fixed configuration over named sites."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    study = models.ForeignKey("lifecycle.Study", on_delete=models.PROTECT, related_name="runs")
    version = models.ForeignKey("scripts.ScriptVersion", on_delete=models.PROTECT, related_name="runs")
    label = models.CharField(max_length=120)
    state = models.CharField(max_length=12, default=states.RUN.initial)
    reason_code = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True)

    strategy = models.CharField(max_length=40)
    strategy_parameters = models.JSONField(default=dict)
    config = models.JSONField(default=dict)
    rounds = models.PositiveIntegerField()
    quorum = models.PositiveIntegerField()
    deadline_s = models.PositiveIntegerField(help_text="Seconds that a phase of a round waits for its sites")
    transport = models.CharField(
        max_length=8, default=AS_IS, choices=[(item, item) for item in TRANSPORTS],
        help_text="How the arrays of messages travel",
    )  # fmt: skip
    wait_s = models.PositiveIntegerField(help_text="Seconds that a start waits for missing sites")
    priority = models.CharField(max_length=8, default="normal", choices=[(item, item) for item in PRIORITIES])

    metric = models.CharField(max_length=100, blank=True, help_text="By which the best round is chosen")
    better = models.CharField(max_length=8, blank=True, choices=[("higher", "higher"), ("lower", "lower")])
    patience = models.PositiveIntegerField(default=0, help_text="Rounds without gain after which it ends; 0: never")
    min_delta = models.FloatField(default=0.0, help_text="The least change of the metric that counts as gain")
    best_round = models.PositiveIntegerField(null=True, blank=True)
    tests_apart = models.BooleanField(
        default=False, help_text="Some sites test and do not train: each round asks for its test by itself"
    )
    ends_after = models.PositiveIntegerField(null=True, blank=True, help_text="The round at which a plateau ends it")

    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="forks")
    parent_round = models.PositiveIntegerField(null=True, blank=True, help_text="Whose model it began with")

    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    queued_at = models.DateTimeField(null=True, blank=True)
    admitted_at = models.DateTimeField(null=True, blank=True, help_text="When its turn came")
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    lease_owner = models.CharField(max_length=80, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    epoch = models.PositiveBigIntegerField(default=0, help_text="Rises with each claim; fences off old workers")

    class Meta:
        default_permissions = ()
        ordering = ["-created_at"]
        constraints = [
            states.RUN.check("runs_run_state"),
            models.CheckConstraint(condition=Q(quorum__gte=1), name="runs_run_quorum"),
            models.CheckConstraint(condition=Q(rounds__gte=1), name="runs_run_rounds"),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) ^ Q(state__in=states.FINAL), name="runs_run_ended_when_final"
            ),
            models.CheckConstraint(
                condition=Q(parent__isnull=True) ^ Q(parent_round__isnull=False), name="runs_run_parent_and_round"
            ),
            models.CheckConstraint(condition=Q(metric="") ^ ~Q(better=""), name="runs_run_metric_and_direction"),
            models.CheckConstraint(condition=Q(patience=0) | ~Q(metric=""), name="runs_run_patience_needs_metric"),
            models.CheckConstraint(condition=Q(min_delta__gte=0), name="runs_run_min_delta"),
        ]
        triggers = [states.RUN.trigger()]

    def __str__(self) -> str:
        return self.label

    @property
    def is_final(self) -> bool:
        return self.state in states.FINAL

    @property
    def standing_rounds(self) -> QuerySet[Round]:
        """The rounds that count: all but those that failed, of which a later one may have taken the number."""
        return self.round_set.exclude(state="failed")

    @property
    def last_round(self) -> int:
        """The number of the round after which the run is complete."""
        return self.rounds if self.ends_after is None else self.ends_after


class Participant(models.Model):
    """A site that a run may ask, by the node and the approval that hold for it.

    Its level is the site's when the run was planned, or that of its consent where its rows are in the table of the
    run's pool node. It falls when the site's own falls meanwhile, and never rises.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="participants")
    enrolment = models.ForeignKey("enrolment.Enrolment", on_delete=models.PROTECT, related_name="+")
    node = models.ForeignKey("registry.Node", on_delete=models.PROTECT, related_name="+")
    approval = models.ForeignKey("scripts.Approval", on_delete=models.PROTECT, related_name="+", null=True)
    position = models.PositiveIntegerField()
    level = models.CharField(max_length=2, default="F2", choices=[(item, item) for item in PHASES_AT])
    role = models.CharField(max_length=8, default=roles.TRAINS, choices=[(item, item) for item in roles.PHASES_OF])
    last_missed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["run", "enrolment"], name="runs_participant_once"),
            models.UniqueConstraint(fields=["run", "position"], name="runs_participant_position"),
            models.CheckConstraint(condition=Q(level__in=list(PHASES_AT)), name="runs_participant_level"),
            models.CheckConstraint(condition=Q(role__in=list(roles.PHASES_OF)), name="runs_participant_role"),
        ]

    def __str__(self) -> str:
        return f"{self.enrolment} in {self.run}"

    @property
    def trains(self) -> bool:
        """Whether the run is to train on the site's rows."""
        return self.role == roles.TRAINS

    def is_asked_for(self, phase: str) -> bool:
        """Whether its part in the run is to answer in that phase: "query", "train" or "evaluate"."""
        return phase in roles.PHASES_OF[self.role]


class Attempt(models.Model):
    """One Flower run that carries (a part of) a run."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=12, default=states.ATTEMPT.initial)
    flower_run_id = models.CharField(max_length=24, unique=True)
    flower_task_id = models.CharField(max_length=24, blank=True)
    flower_node_id = models.CharField(max_length=24, blank=True)
    token = models.TextField(blank=True, help_text="Identifies the driver at the SuperLink; cleared at the end")
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        default_permissions = ()
        ordering = ["number"]
        constraints = [
            states.ATTEMPT.check("runs_attempt_state"),
            models.UniqueConstraint(fields=["run", "number"], name="runs_attempt_number"),
            models.UniqueConstraint(
                fields=["run"], condition=Q(state__in=["announced", "driving"]), name="runs_attempt_one_live"
            ),
        ]
        triggers = [states.ATTEMPT.trigger()]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.run}"


class Model(models.Model):
    """The parameters after a committed round, by the SHA-256 of their safetensors file."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="models")
    round_number = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField(help_text="Bytes")
    schema = models.JSONField(help_text="Name of each array: its shape and dtype")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        ordering = ["round_number"]
        constraints = [
            models.UniqueConstraint(fields=["run", "round_number"], name="runs_model_one_a_round"),
        ]

    def __str__(self) -> str:
        return self.sha256[:12]


class RunFile(models.Model):
    """A file that a script's own ServerApp left, by the SHA-256 of its bytes."""

    FORMS = ("parameters", "other")

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=240)
    form = models.CharField(max_length=12, choices=[(form, form) for form in FORMS])
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField(help_text="Bytes")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="runs_file_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def safe_name(self) -> str:
        """Its name as a file's on anybody's machine."""
        return re.sub(r"[^A-Za-z0-9._-]", "_", self.name.rpartition("/")[2])[:120] or self.sha256[:12]


class Round(models.Model):
    """One step of a run. Round 0 prepares: exact sums over the sites and the initial model."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="round_set")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=12, default=states.ROUND.initial)
    phase = models.CharField(max_length=64, blank=True)
    asked_sha256 = models.CharField(max_length=64, blank=True, help_text="What a script's own ServerApp asked for")
    phase_started_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True)
    candidate_sha256 = models.CharField(max_length=64, blank=True, help_text="Aggregated, not yet committed")
    shared_sha256 = models.CharField(max_length=64, blank=True, help_text="Round 0: the sites' sums")
    state_sha256 = models.CharField(max_length=64, blank=True, help_text="What the strategy keeps for the next round")
    model_in = models.ForeignKey(Model, on_delete=models.PROTECT, null=True, related_name="+")
    model_out = models.ForeignKey(Model, on_delete=models.PROTECT, null=True, related_name="+")
    metrics = models.JSONField(default=dict, help_text="By phase: the aggregated metrics")
    bytes_sent = models.PositiveBigIntegerField(default=0)
    bytes_received = models.PositiveBigIntegerField(default=0)
    started_at = models.DateTimeField(default=timezone.now)
    committed_at = models.DateTimeField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        default_permissions = ()
        ordering = ["number", "pk"]
        constraints = [
            states.ROUND.check("runs_round_state"),
            models.UniqueConstraint(fields=["run", "number"], condition=~Q(state="failed"), name="runs_round_once"),
            models.CheckConstraint(
                condition=Q(state="committed", committed_at__isnull=False)
                | (~Q(state="committed") & Q(committed_at__isnull=True)),
                name="runs_round_committed_when",
            ),
        ]
        triggers = [states.ROUND.trigger()]

    def __str__(self) -> str:
        return f"round {self.number} of {self.run}"

    @cached_property
    def before(self) -> Round:
        """The run's round before this one, as it stands. Raises Round.DoesNotExist for the first."""
        return self.run.standing_rounds.get(number=self.number - 1)


class Participation(models.Model):
    """What one site was asked in one phase of a round, and what came of it."""

    round = models.ForeignKey(Round, on_delete=models.CASCADE, related_name="participations")
    participant = models.ForeignKey(Participant, on_delete=models.CASCADE, related_name="participations")
    approval = models.ForeignKey(
        "scripts.Approval", on_delete=models.PROTECT, related_name="+", null=True, help_text="Under which it was asked"
    )
    phase = models.CharField(max_length=64)
    state = models.CharField(max_length=12, default=states.PARTICIPATION.initial)
    code = models.CharField(max_length=40, blank=True)
    detail = models.TextField(blank=True)
    message_id = models.CharField(max_length=64, blank=True, db_index=True)
    examples = models.PositiveBigIntegerField(null=True, blank=True)
    metrics = models.JSONField(default=dict)
    content_sha256 = models.CharField(max_length=64, blank=True, help_text="The site's packed reply")
    bytes_sent = models.PositiveBigIntegerField(default=0)
    bytes_received = models.PositiveBigIntegerField(default=0)
    asked_at = models.DateTimeField(default=timezone.now)
    answered_at = models.DateTimeField(null=True, blank=True)
    receipt = models.BinaryField(default=b"", blank=True, help_text="The node's signed account (DSSE)")
    rounding = models.JSONField(
        default=dict, blank=True, help_text="What narrowing did to the numbers that were sent, and to those received"
    )

    class Meta:
        default_permissions = ()
        ordering = ["round_id", "phase", "participant_id"]
        constraints = [
            states.PARTICIPATION.check("runs_participation_state"),
            models.UniqueConstraint(fields=["round", "phase", "participant"], name="runs_participation_once"),
            models.CheckConstraint(
                condition=Q(state="awaited") | Q(answered_at__gte=F("asked_at")), name="runs_participation_answered"
            ),
        ]
        triggers = [states.PARTICIPATION.trigger()]

    def __str__(self) -> str:
        return f"{self.participant} {self.phase}: {self.state}"

    @property
    def duration_ms(self) -> int | None:
        if self.answered_at is None:
            return None
        return round((self.answered_at - self.asked_at).total_seconds() * 1000)


class Schedule(models.Model):
    """When a new run is made from the plan of another, and started."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    template = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="schedules")
    label = models.CharField(max_length=120)
    state = models.CharField(max_length=12, default=states.SCHEDULE.initial)
    kind = models.CharField(max_length=8, choices=[(item, item) for item in ("once", "weekly", "ready")])
    weekdays = models.JSONField(default=list, help_text="weekly: 0 for Monday to 6 for Sunday")
    time = models.TimeField(null=True, blank=True, help_text="weekly: the time of day")
    time_zone = models.CharField(max_length=64, default="UTC", help_text="weekly: its name in the IANA database")
    sites_needed = models.PositiveIntegerField(null=True, blank=True, help_text="ready: sites that must be there")
    next_at = models.DateTimeField(null=True, blank=True, help_text="once, weekly: when it is due")
    last_at = models.DateTimeField(null=True, blank=True)
    last_run = models.ForeignKey(Run, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    last_problem = models.TextField(blank=True, help_text="Why no run was made when it was due last")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        ordering = ["-created_at"]
        constraints = [
            states.SCHEDULE.check("runs_schedule_state"),
            models.CheckConstraint(
                condition=Q(kind="ready", sites_needed__gte=1) | (~Q(kind="ready") & Q(sites_needed__isnull=True)),
                name="runs_schedule_sites_needed",
            ),
            models.CheckConstraint(
                condition=~Q(state="active") | Q(kind="ready") | Q(next_at__isnull=False), name="runs_schedule_due"
            ),
            models.CheckConstraint(
                condition=Q(kind="weekly", time__isnull=False) | (~Q(kind="weekly") & Q(time__isnull=True)),
                name="runs_schedule_time",
            ),
        ]
        triggers = [states.SCHEDULE.trigger()]

    def __str__(self) -> str:
        return self.label

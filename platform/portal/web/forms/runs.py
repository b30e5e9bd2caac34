"""Planning a run: fixed fields, and one for each parameter of the chosen strategy and of the script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from federation.degrees.seeds import own_seed
from federation.runs.halting import better_when
from federation.runs.services import ROUNDS_KEY, Plan
from federation.strategies.catalogue import STRATEGIES
from federation.strategies.description import Description
from fedstudy_core.parameters import Parameter, as_text
from fedstudy_core.transport import AS_IS, HALF
from portal.web.forms.run_sites import SITE, filled_from_sites, part_fields, sites_planned
from portal.web.forms.seeds import SeedsField
from studies.enrolment.models import Enrolment
from studies.scripts.models import ScriptVersion

SCRIPT, STRATEGY = "parameter:", "strategy:"
# Another version or strategy has other parameters: htmx fetches the form again for it, with what was filled in.
RELOADS_FORM = {
    "hx-get": "",
    "hx-include": "closest form",
    "hx-params": "not csrfmiddlewaretoken",
    "hx-select": "#run-form",
    "hx-target": "#run-form",
    "hx-swap": "outerHTML",
}


class RunForm(forms.Form):
    """A run over ready sites, each with a part. The script's own fields are those of the chosen version."""

    version = forms.ChoiceField(label=_("Script version"), widget=forms.Select(attrs=RELOADS_FORM))
    label = forms.CharField(label=_("Name of the run"), max_length=120, required=False)
    strategy = forms.ChoiceField(label=_("Strategy"), widget=forms.Select(attrs=RELOADS_FORM))
    rounds = forms.IntegerField(label=_("Rounds"), min_value=1, max_value=10_000, initial=20)
    quorum = forms.IntegerField(
        label=_("Quorum"),
        min_value=1,
        required=False,
        help_text=_("Answers that each phase of a round needs, of the sites that train; all of these when empty."),
    )
    deadline_s = forms.IntegerField(
        label=_("Deadline (seconds)"),
        min_value=1,
        initial=600,
        help_text=_("How long a phase of a round waits for a site."),
    )
    wait_s = forms.IntegerField(
        label=_("Wait at the start (seconds)"),
        min_value=0,
        initial=60,
        help_text=_("How long the start waits for a site."),
    )
    priority = forms.ChoiceField(
        label=_("Priority"),
        choices=[("high", _("high")), ("normal", _("normal")), ("low", _("low"))],
        initial="normal",
        required=False,
        help_text=_("A head start of four hours in the queue, or as much later."),
    )
    transport = forms.ChoiceField(
        label=_("Arrays travel"),
        choices=[(AS_IS, _("as they are")), (HALF, _("in 16 bits (float16)"))],
        initial=AS_IS,
        required=False,
        help_text=_(
            "16 bits halve the bytes on the sites' links. Each number is rounded to about three digits on its"
            " way; rounds say by how much. A number beyond 65504 ends the run, or leaves its site out."
        ),
    )
    metric = forms.CharField(
        label=_("Metric that chooses the best round"),
        max_length=100,
        required=False,
        help_text=_("As the script reports it when it tests; none when empty."),
    )
    better = forms.ChoiceField(
        label=_("Better is"),
        choices=[("higher", _("higher")), ("lower", _("lower"))],
        required=False,
    )
    patience = forms.IntegerField(
        label=_("End after rounds without gain"),
        min_value=0,
        initial=0,
        required=False,
        help_text=_("Saves rounds that gain nothing; 0 for never."),
    )
    min_delta = forms.FloatField(
        label=_("Least gain"),
        min_value=0,
        initial=0,
        required=False,
        widget=forms.NumberInput(attrs={"step": "any"}),
        help_text=_("What is not more than this is no gain, in the metric's own unit."),
    )
    seeds = SeedsField(
        label=_("Seeds of a comparison"),
        help_text=_(
            "Whole numbers with commas between them, ten at most: each way of training is run once for each, and the"
            " page shows their mean. When empty, the one seed among the parameters."
        ),
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        versions: Sequence[ScriptVersion],
        chosen: ScriptVersion,
        enrolments: Sequence[Enrolment],
        filled: Mapping[str, str] | None = None,
    ) -> None:
        """`data` is what was sent to be planned, `filled` what was filled in so far."""
        super().__init__(data, initial=dict(filled or {}))
        self.chosen = chosen
        texts = [(str(item.pk), f"{item.script.name} v{item.number} · {item.sha256[:10]}") for item in versions]
        self._choose("version", texts, str(chosen.pk))
        self._offer_strategies((data or filled or {}).get("strategy", ""))
        script = [Parameter.model_validate(item) for item in chosen.parameters]
        self._add(SCRIPT, (item for item in script if item.name != ROUNDS_KEY))
        self._add(f"{STRATEGY}{self.chosen_strategy.name}:", self.chosen_strategy.parameters)
        if own_seed(chosen, None) is None:
            del self.fields["seeds"]
        own = chosen.declaration.get("server") == "own"
        self.fields.update(part_fields(enrolments, filled or {}, led_by_script=own))
        headline = str(chosen.declaration.get("headline", ""))
        self.fields["metric"].initial = headline
        self.fields["better"].initial = better_when(headline)
        for field in self.strategy_fields:
            field.field.required = False  # the default holds where a browser without scripts shows another's fields

    def _offer_strategies(self, asked: str) -> None:
        """Offer the strategies that the script suits; the first unless one of them is asked for."""
        offered = {item.name: item for item in STRATEGIES.values() if not item.unsupported_by(self.chosen.declaration)}
        self.chosen_strategy = offered.get(asked) or next(iter(offered.values()))
        self._choose("strategy", [(item.name, item.title) for item in offered.values()], self.chosen_strategy.name)
        self.fields["strategy"].help_text = _about(self.chosen_strategy)

    @property
    def withheld(self) -> list[str]:
        """The strategies that the script does not suit, each with what it would have to do."""
        found = [(item, item.unsupported_by(self.chosen.declaration)) for item in STRATEGIES.values()]
        return [
            _("{title} needs a script that {sentence}").format(title=item.title, sentence=need.sentence)
            for item, need in found
            if need
        ]

    def _choose(self, name: str, choices: list[tuple[str, str]], initial: str) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]
        self.fields[name].initial = initial

    def _add(self, prefix: str, parameters: Iterable[Parameter]) -> None:
        for parameter in parameters:
            self.fields[prefix + parameter.name] = parameter_field(parameter)

    @property
    def script_fields(self) -> list[forms.BoundField]:
        """The fields of the script's parameters."""
        return [self[name] for name in self.fields if name.startswith(SCRIPT)]

    def part_of(self, enrolment: Enrolment) -> forms.BoundField | None:
        """The field of a site's part in the run; None where it is not ready."""
        name = f"{SITE}{enrolment.pk}"
        return self[name] if name in self.fields else None

    @property
    def strategy_fields(self) -> list[forms.BoundField]:
        """The fields of the chosen strategy's parameters."""
        return [self[name] for name in self.fields if name.startswith(STRATEGY)]

    def _values(self, prefix: str) -> dict[str, Any]:
        found = {
            name.removeprefix(prefix): value for name, value in self.cleaned_data.items() if name.startswith(prefix)
        }
        return {name: _typed(value) for name, value in found.items() if value not in (None, "")}

    @property
    def plan(self) -> Plan:
        """The plan that the fields describe."""
        data = self.cleaned_data
        return Plan(
            label=data["label"],
            strategy=data["strategy"],
            strategy_parameters=self._values(f"{STRATEGY}{data['strategy']}:"),
            config=self._values(SCRIPT),
            rounds=data["rounds"],
            quorum=data["quorum"],
            deadline_s=data["deadline_s"],
            wait_s=data["wait_s"],
            **sites_planned(data),
            priority=data["priority"] or "normal",
            transport=data["transport"] or AS_IS,
            metric=data["metric"],
            better=data["better"] or None,
            patience=data["patience"] or 0,
            min_delta=data["min_delta"] or 0.0,
        )


def filled_from(plan: Plan) -> dict[str, str]:
    """What the form shows for a plan that there is."""
    fixed = (
        "label", "strategy", "rounds", "quorum", "deadline_s", "wait_s", "priority", "transport", "metric", "patience"
    )  # fmt: skip
    values: dict[str, Any] = {name: getattr(plan, name) for name in fixed}
    values |= {"better": plan.better or "", "min_delta": plan.min_delta, **filled_from_sites(plan)}
    values |= {f"{SCRIPT}{name}": value for name, value in (plan.config or {}).items()}
    strategy = f"{STRATEGY}{plan.strategy}:"
    values |= {f"{strategy}{name}": value for name, value in (plan.strategy_parameters or {}).items()}
    return {name: as_text(value) for name, value in values.items() if value is not None}


def _about(strategy: Description) -> str:
    """What the strategy does, where it was published, and how many sites it needs."""
    fewest = (
        _(" Every round needs {minimum_formula} sites.").format(minimum_formula=strategy.minimum_formula)
        if strategy.minimum_sites > 1
        else ""
    )
    return f"{strategy.summary}{fewest} {strategy.paper}."


def _typed(value: Any) -> Any:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def parameter_field(parameter: Parameter) -> forms.Field:
    """The form field for a parameter: its type, its limits, its default."""
    shared: dict[str, Any] = {
        "label": parameter.name,
        "help_text": parameter.description + (f" ({parameter.unit})" if parameter.unit else ""),
        "initial": parameter.default,
        "required": parameter.type != "str",
    }
    if parameter.choices is not None:
        kind: Callable[[Any], Any] = {"int": int, "float": float}.get(parameter.type, str)
        return forms.TypedChoiceField(choices=[(item, str(item)) for item in parameter.choices], coerce=kind, **shared)
    if parameter.type == "bool":
        shared["initial"] = str(parameter.default).lower()
        return forms.ChoiceField(choices=[("true", _("yes")), ("false", _("no"))], **shared)
    if parameter.type == "int":
        return forms.IntegerField(min_value=_whole(parameter.min), max_value=_whole(parameter.max), **shared)
    if parameter.type == "float":
        widget = forms.NumberInput(attrs={"step": "any"})
        return forms.FloatField(min_value=parameter.min, max_value=parameter.max, widget=widget, **shared)
    return forms.CharField(max_length=200, **shared)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)

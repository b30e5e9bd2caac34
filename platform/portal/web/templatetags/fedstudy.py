"""The components of the pages as template tags; their markup is in ``templates/components``."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from django import template
from django.forms import BoundField
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from fedstudy_core.statement import SANDBOX_WORDS
from portal import changes
from portal.web import formats
from portal.web.presenters.charts import Chart
from portal.web.presenters.events import EventRow
from portal.web.presenters.icons import ICONS
from portal.web.presenters.levels import level_of
from portal.web.presenters.status import Status, status_of
from portal.web.presenters.strategies import strategy_title
from portal.web.presenters.words import said_in_browser
from studies.scripts.signatures import Signature

register = template.Library()

register.filter("duration", formats.duration)
register.filter("seconds", formats.seconds)
register.filter("filesize_iec", formats.size)
register.filter("score", formats.score)
register.filter("share", formats.share)
register.filter("initials", formats.initials)
register.filter("strategy_title", strategy_title)


@register.simple_tag
def now_ms() -> int:
    """The present moment in milliseconds: from then on a page wants to hear of changes."""
    return changes.now_ms()


@register.simple_tag
def page_language() -> str:
    """The language that the page is in, as `en` or `de`."""
    return (translation.get_language() or "en")[:2]


@register.simple_tag
def browser_words() -> SafeString | str:
    """What scripts in the browser say, for a page that is not in English."""
    words = said_in_browser()
    return format_html('<meta name="fedstudy-words" content="{}">', json.dumps(words)) if words else ""


DRAWN = {
    name: format_html(
        '<svg class="fs-icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="{}"/></svg>', path
    )
    for name, path in ICONS.items()
}


# A page may hold hundreds of these, of states and of `when`, so they are written without a template of their own.
@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon that repeats what the text beside it says, hidden from screen readers."""
    return DRAWN[name]


def _status(found: Status, *, plain: bool = False) -> SafeString:
    tone = f"is-{found.tone} is-plain" if plain else f"is-{found.tone}"
    title = format_html(' title="{}"', found.meaning) if found.meaning else ""
    return format_html('<span class="fs-status {}"{}>{}{}</span>', tone, title, icon(found.icon), found.label)


@register.simple_tag
def status(kind: str, state: str, *, plain: bool = False) -> SafeString:
    """A state as word, icon and tone."""
    return _told(translation.get_language(), kind, state, plain)


@lru_cache(maxsize=2_000)
def _told(_language: str | None, kind: str, state: str, plain: bool) -> SafeString:
    """Of each language once."""
    return _status(status_of(kind, state), plain=plain)


@register.simple_tag
def status_word(kind: str, state: str) -> str:
    """A state as a word in a sentence."""
    return status_of(kind, state).label.lower()


@register.simple_tag
def badge(label: str, tone: str = "idle", icon: str = "dot") -> SafeString:
    """A status with words of the page's own."""
    return _status(Status(label, tone, icon))


@register.simple_tag
def hash(value: str, *, length: int = 10, label: str = "hash") -> SafeString | str:
    """A shortened hash with a button that copies all of it."""
    if not value:
        return "–"
    short = value if len(value) <= length else f"{value[:length]}…"
    words = _("Copy the whole %(label)s") % {"label": label}
    return format_html(COPIED, value, short, value, words, DRAWN["copy"])


COPIED = (
    '<span class="fs-hash"><code title="{}">{}</code>'
    '<button type="button" class="fs-copy" data-copy="{}" aria-label="{}">{}</button></span>'
)


@register.simple_tag
def pairs(found: Sequence[tuple[str, str]]) -> SafeString:
    """Names with what stands beside them, as a list."""
    return format_html('<dl class="fs-pairs">{}</dl>', format_html_join("", "<dt>{}</dt><dd>{}</dd>", found))


@register.simple_tag
def chart_rows(chart: Chart, best: object) -> SafeString:
    """The rows of a chart's table, hundreds of numbers; that of the best round is marked."""
    lines = (
        (number, ' class="is-best" data-best' if number == best else "", "".join(map(_score_cell, values)))
        for number, values in chart.rows
    )
    return SafeString("".join(f'<tr{mark}><th scope="row">{number}</th>{cells}</tr>' for number, mark, cells in lines))


def _score_cell(value: float | None) -> str:
    return f'<td class="fs-number">{formats.score(value)}</td>'


@register.simple_tag
def only_like(row: EventRow, only: Mapping[str, str]) -> SafeString:
    """Links that narrow the log to what is like one of its entries; `only` has the beginnings of their addresses."""
    words = _(
        'Only <a href="{person}">this person or part</a>, <a href="{object}">this object</a>, '
        '<a href="{kind}">entries like this</a>'
    )
    return format_html(
        words,
        person=only["actor"] + quote(row.actor_name, safe=""),
        object=only["object"] + quote(row.object_id, safe=""),
        kind=only["kind"] + quote(row.action, safe=""),
    )


@register.inclusion_tag("components/signatures.html")
def signatures(found: Sequence[Signature]) -> dict[str, Any]:
    """Signatures: of each its maker's name, its date and time, and what it means (21 CFR 11.50)."""
    return {"signatures": found}


@register.simple_tag
def when(moment: dt.datetime | None, *, empty: str = "–", relative: bool = True) -> SafeString | str:
    """A moment in the reader's time zone, with the zone named, and, running, relative to now."""
    if not moment:
        return empty
    utc, local = moment.astimezone(dt.UTC), timezone.localtime(moment)
    zone = local.tzname() or "UTC"
    runs = format_html("<small>{}</small>", formats.ago(moment, timezone.now())) if relative else zone
    mark = SafeString(" data-relative") if relative else ""
    shown, exact = formats.moment(local), f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    if zone != "UTC":
        exact = f"{local:%Y-%m-%d %H:%M:%S} {zone} · {exact}"
    return format_html('<time datetime="{}" title="{}"{}>{} {}</time>', utc.isoformat(), exact, mark, shown, runs)


@register.inclusion_tag("components/progress.html")
def progress(value: int, maximum: int, label: str, *, tone: str = "") -> dict[str, Any]:
    """A progress bar with its numbers as text."""
    return {"value": value, "maximum": max(maximum, 1), "total": maximum, "label": label, "tone": tone}


@register.inclusion_tag("components/command.html")
def command(text: str, label: str = "command") -> dict[str, Any]:
    """A console command with a copy button."""
    return {"text": text, "label": label}


@register.inclusion_tag("components/problems.html")
def problems(form: Any) -> dict[str, Any]:
    """Everything wrong with a form, above it, each sentence a link to its field."""
    fields = [field for field in form if field.errors] if form else []
    general = form.non_field_errors() if form else []
    return {"fields": fields, "general": general}


@register.inclusion_tag("components/field.html")
def field(bound: BoundField, *, short: bool = False) -> dict[str, Any]:
    """One form field: label, hint, control and its problems."""
    return {
        "field": bound,
        "control": _control(bound, short),
        "is_choice": _is_choice(bound),
        "optional": _optional(bound),
    }


@register.simple_tag
def control(bound: BoundField) -> SafeString:
    """A form field's control alone, where the page says in its own way what it is for."""
    return _control(bound, short=False)


@register.inclusion_tag("components/level.html")
def level(code: str) -> dict[str, Any]:
    """A participation level: its code, its name, what leaves and what stays."""
    return {"level": level_of(code)}


@register.simple_tag
def walls(level: str | None) -> SafeString | str:
    """A level of the sandbox, with what it means."""
    if not level:
        return "–"
    words = SANDBOX_WORDS.get(level)
    return format_html('{} <span class="fs-sub">{}</span>', level, _(words)) if words else level


@register.simple_block_tag
def card(content: str, title: str = "", *, lead: str = "", id: str = "", extra: str = "") -> SafeString:
    """A titled surface. ``extra`` is already rendered markup for the right of the title."""
    return render_to_string(
        "components/card.html", {"content": content, "title": title, "lead": lead, "id": id, "extra": extra}
    )


@register.simple_block_tag
def table(content: str, label: str, *, scroll: bool = False) -> SafeString:
    """A table that scrolls by itself on narrow screens and can be reached by keyboard."""
    return render_to_string("components/table.html", {"content": content, "label": label, "scroll": scroll})


@register.simple_block_tag
def notice(content: str, tone: str = "info", title: str = "") -> SafeString:
    """A message that belongs to the page, with a tone."""
    icons = {"ok": "check", "wait": "clock", "bad": "alert", "info": "info", "idle": "info"}
    return render_to_string(
        "components/notice.html", {"content": content, "tone": tone, "title": title, "icon": icons[tone]}
    )


@register.simple_block_tag
def empty_state(content: str, title: str, icon: str = "info") -> SafeString:
    """Says why there is nothing yet and what to do about it."""
    return render_to_string("components/empty.html", {"content": content, "title": title, "icon": icon})


@register.simple_block_tag
def confirm(content: str, name: str, title: str) -> SafeString:
    """A confirmation that names the object; any button with ``popovertarget=name`` opens it."""
    return render_to_string("components/confirm.html", {"content": content, "name": name, "title": title})


@register.simple_tag(takes_context=True)
def query(context: Mapping[str, Any], **changes: Any) -> str:
    """The present query string with some values changed, or dropped by None."""
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None:
            parameters.pop(name, None)
        else:
            parameters[name] = str(value)
    return "?" + parameters.urlencode()


def _is_choice(bound: BoundField) -> bool:
    return bound.widget_type in {"radioselect", "checkboxselectmultiple"}


def _optional(bound: BoundField) -> bool:
    """Whether it may be left empty; a list without an empty choice never is."""
    choices = getattr(bound.field, "choices", None)
    if bound.widget_type == "select" and choices is not None and not any(value == "" for value, _words in choices):
        return False
    return not bound.field.required and not bound.field.disabled


def _control(bound: BoundField, short: bool) -> SafeString:
    """The widget with Bootstrap's class and the ids that tie it to its hint and its problems."""
    kind = "form-select" if bound.widget_type in {"select", "nullbooleanselect"} else "form-control"
    if _is_choice(bound) or bound.widget_type == "checkbox":
        kind = "form-check-input"
    described = [f"{bound.auto_id}-hint"] if bound.help_text else []
    described += [f"{bound.auto_id}-error"] if bound.errors else []
    attributes: dict[str, str | bool] = {"class": f"{kind} is-short" if short else kind}
    if described:
        attributes["aria-describedby"] = " ".join(described)
    return bound.as_widget(attrs=attributes)

"""The one way into the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Model

from audit import context
from audit.models import Event
from audit.signals import recorded
from fedstudy_core import canonical


@dataclass(frozen=True)
class Thing:
    """What an event is about where that is no row of the database."""

    kind: str
    id: str
    label: str


def record(
    *,
    action: str,
    actor: Any,
    obj: Model | Thing,
    study: object = None,
    site: object = None,
    outcome: str = "done",
    detail: Mapping[str, Any] | None = None,
) -> Event:
    """Add an event, with the context of the request, task or command at work (`audit.context`).

    Call it inside the transaction of the change that it tells of.

    Args:
        action: "area:subject:action".
        actor: a person or node (with `audit_name` and `audit_label`), or "system:<part>".
        study, site: the study and site that it concerns, or their ids, so that the event is found from there.
        detail: canonical JSON values; no names of patients, no free text about people.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("an audit event is written in the transaction of the change it tells of")
    about = obj if isinstance(obj, Thing) else Thing(obj._meta.model_name or "", str(obj.pk), str(obj))
    where = {"study": _id(study), "site": _id(site)}
    event = Event.objects.create(
        actor=getattr(actor, "audit_name", str(actor)),
        actor_label=getattr(actor, "audit_label", str(actor).removeprefix("system:")),
        action=action,
        object_type=about.kind,
        object_id=about.id,
        object_label=about.label[:200],
        **where,
        outcome=outcome,
        detail=canonical.dumps(_plain(dict(detail or {}))).decode("utf-8"),
        context=context.text_for(actor, [item for item in where.values() if item]),
    )
    recorded.send(sender=Event, event=event)
    return event


@transaction.atomic
def note_export(*, by: Any, obj: Model, study: object = None, entries: int, form: str) -> Event:
    """Note that somebody took entries of the log away as a file; the file names this event.

    Args:
        obj: the study whose entries they are, or the person for all that they read.
        form: "CSV" or "JSON lines".
    """
    detail = {"entries": str(entries), "form": form}
    return record(action="audit:log:exported", actor=by, obj=obj, study=study, detail=detail)


def _plain(value: Any) -> Any:
    """The value with its texts made plain: how somebody wrote a name or a reason must not undo what they did."""
    if isinstance(value, str):
        return canonical.plain_text(value)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _id(thing: object) -> str:
    return "" if thing is None else str(thing.pk if isinstance(thing, Model) else thing)

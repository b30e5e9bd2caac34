"""Going on after the log was lost in part: under a new origin, with a signed word on where the old one ended.

Only a log whose past cannot be had back begins anew (a backup was restored that lacks what witnesses have seen). What
is stored stays as it is; from its next checkpoint on the log signs by the new name, and witnesses follow it once people
of their sites said so.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction
from django.db.models import Exists, Max, OuterRef, QuerySet

from audit.models import Checkpoint, Cosignature, LogKey, Succession, WitnessRefusal
from audit.services import record
from fedstudy_core.errors import Invalid, Refusal
from fedstudy_core.transparency import checkpoints
from fedstudy_core.transparency.checkpoints import Checkpoint as Signed
from fedstudy_core.transparency.notes import LOG, Note, NoteKey, sign
from fedstudy_core.transparency.successions import Succession as Statement


@transaction.atomic
def succeed(*, origin: str, key: Ed25519PrivateKey, seen: str = "") -> Statement:
    """Let the log go on under another origin; only while no sequencer is at work.

    Args:
        key: that signs from now on, and for the old origin too where it is the same.
        seen: the newest checkpoint that a witness kept, as a signed note. Those that witnesses refuse to leave now are
            looked at in any case: the largest is named as the old log's end; without any, the last one stored.

    Raises:
        Invalid: E_INVALID for an origin that the log had before, or that is none.
        Refusal: E_LOG_BEHIND, there is no old log, or witnesses cosigned more of it than that; E_NOTE,
            E_NOTE_SIGNATURE for `seen`.
    """
    stored = LogKey.objects.first()
    if stored is None:
        raise Refusal("E_LOG_BEHIND", "There is no log yet that could go on.")
    old = NoteKey.parse(stored.key)
    last = _last_known(old, seen)
    try:
        new = NoteKey.of(origin, LOG, key.public_key())
    except Refusal as refusal:
        raise Invalid(
            "E_INVALID", "An origin is a name without spaces, such as portal.example.org/audit/2."
        ) from refusal
    if LogKey.objects.filter(key__startswith=f"{origin}+").exists():
        raise Invalid("E_INVALID", "The log had this origin before: a new one is needed.")
    statement = Statement(old, last.size, last.root, new)
    note = Note(statement.text, (sign(statement.text, new.name, key),))
    if NoteKey.of(old.name, LOG, key.public_key()) == old:
        note = note.with_signatures(sign(statement.text, old.name, key))
    found = Succession.objects.create(origin=origin, note=str(note))
    LogKey.objects.create(key=str(new))
    detail = {"old": old.name, "size": last.size, "root": last.root.hex(), "new": new.name, "key": str(new)}
    record(action="audit:log:succeeded", actor="system:restart_log", obj=found, detail=detail)
    return statement


def _last_known(old: NoteKey, seen: str) -> Signed:
    """The largest checkpoint that the old key signed, of those that anybody kept. Raises Refusal E_LOG_BEHIND."""
    given = [checkpoints.read(seen.encode(), old)[0]] if seen else []
    kept = [found for item in _refusing(old) if (found := _read(item.seen, old))]
    stored = [found for item in Checkpoint.objects.all()[:1] if (found := _read(item.note, old))]
    known = [*given, *kept] or stored  # what is stored goes on from the backup, and is not what was lost
    if not known:
        raise Refusal("E_LOG_BEHIND", "Nobody has a checkpoint of the old log.")
    last = max(known, key=lambda item: item.size)
    cosigned = Cosignature.objects.filter(origin=old.name).aggregate(most=Max("size"))["most"] or 0
    if last.size < cosigned:
        told = f"Witnesses cosigned {cosigned} events, and the largest checkpoint that is known here has {last.size}."
        raise Refusal("E_LOG_BEHIND", f"{told} Give by --seen what a site's `fedstudy-node witness show` shows.")
    return last


def _refusing(old: NoteKey) -> QuerySet[WitnessRefusal]:
    """What witnesses refused and have not cosigned the old log since."""
    later = Cosignature.objects.filter(node=OuterRef("node"), origin=old.name, at__gt=OuterRef("at"))
    return WitnessRefusal.objects.filter(~Exists(later))


def _read(note: str, key: NoteKey) -> Signed | None:
    try:
        return checkpoints.read(note.encode("utf-8", "replace"), key)[0]
    except Refusal:
        return None

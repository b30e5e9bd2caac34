"""The log as a transparency log: its checkpoint, and proofs that programs check for themselves."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response

from audit import proofs
from audit.models import Checkpoint
from audit.readings import note_proof
from federation.runs import selectors as runs
from fedstudy_core.errors import NotFound
from fedstudy_core.transparency.leaves import BoundText
from portal.api.base import Input, Output, PersonRequest, Resource, describe


class CheckpointOut(Output):
    """What the log says of itself."""

    key = serializers.CharField(help_text="By which the note is verified: name+id+key, as C2SP's signed notes have it")
    size = serializers.IntegerField(help_text="Events in the log")
    checkpoint = serializers.CharField(help_text="C2SP checkpoint: origin, size, root, signatures")
    at = serializers.DateTimeField()


class TextOut(Output):
    """A text that a leaf commits to: SHA-256 over "fedstudy-text-v1", a line feed, the salt's bytes and the text."""

    salt = serializers.CharField(help_text="16 bytes in hexadecimal")
    text = serializers.CharField()


class ProofOut(Output):
    """That one event is in the log."""

    position = serializers.IntegerField(help_text="Of its leaf, counted from 0")
    leaf = serializers.CharField(help_text="Canonical JSON; its hash is SHA-256 over a zero byte and these bytes")
    names = TextOut()
    detail = TextOut()
    context = TextOut(  # type: ignore[assignment]  # a field's context is another thing
        allow_null=True, help_text="Null for events of before there was one, whose leaves have form 1"
    )
    hashes = serializers.ListField(child=serializers.CharField(), help_text="Inclusion proof, in base64")
    key = serializers.CharField()
    size = serializers.IntegerField(help_text="Events in the log at the checkpoint")
    checkpoint = serializers.CharField()
    file = serializers.CharField(help_text="The proof as C2SP's tlog-proof writes it")


class ConsistencyOut(Output):
    """That the log only grew between two sizes."""

    old = serializers.IntegerField()
    new = serializers.IntegerField()
    hashes = serializers.ListField(child=serializers.CharField(), help_text="Consistency proof, in base64")


class ConsistencyQuery(Input):
    """Between which sizes."""

    old = serializers.IntegerField(min_value=1, max_value=2**53)
    new = serializers.IntegerField(min_value=1, max_value=2**53)


class Log(Resource):
    """The log's own word. It tells nothing of what happened, so everybody who is signed in reads it."""

    @describe("The log's newest checkpoint", output=CheckpointOut)
    def retrieve(self, request: PersonRequest) -> Response:
        return self.answer(_told(proofs.latest_checkpoint()), CheckpointOut)

    @describe("Prove that the log only grew", output=ConsistencyOut, parameters=[ConsistencyQuery])
    def consistency(self, request: PersonRequest) -> Response:
        asked = self.query(ConsistencyQuery)
        told = {**asked, "hashes": proofs.encoded(proofs.consistency(**asked))}
        note_proof(by=request.user)
        return self.answer(told, ConsistencyOut)


class EventProofs(Resource):
    """Proofs of the events that the user may read."""

    @describe("Prove that an event is in the log", output=ProofOut)
    def retrieve(self, request: PersonRequest, id: UUID) -> Response:
        event = runs.events_for(request.user).filter(event_id=id).first()
        if event is None:
            raise NotFound("E_NOT_FOUND")
        found = proofs.proof_of(event)
        note_proof(by=request.user)
        shown = {
            **_told(found.checkpoint),
            "position": found.position,
            "leaf": found.leaf,
            **{name: _opened(text) for name, text in vars(found.texts).items()},
            "hashes": proofs.encoded(found.hashes),
            "file": found.as_file,
        }
        return self.answer(shown, ProofOut)


def _told(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "key": proofs.log_key(),
        "size": checkpoint.size,
        "checkpoint": checkpoint.note,
        "at": checkpoint.at,
    }


def _opened(text: BoundText | None) -> dict[str, str] | None:
    return None if text is None else {"salt": text.salt.hex(), "text": text.text}

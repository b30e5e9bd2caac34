"""Requests of nodes: signed by the node's identity key, each with a higher sequence than the one before."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from fedstudy_core import signed_request
from fedstudy_core.errors import Forbidden, Invalid, Refusal
from nodes.registry.models import Node
from nodes.registry.services import take_sequence

CHALLENGE = "FedStudy-Signature"


class NodeSignature(BaseAuthentication):
    """Checks signature and clock, then takes the sequence: a request counts once, whatever becomes of it."""

    def authenticate(self, request: Request | HttpRequest) -> tuple[Node, int] | None:
        if signed_request.NODE not in request.headers:
            return None
        node = _node(request.headers[signed_request.NODE])
        sequence = _verified(
            node, request.headers, method=str(request.method), path=request.get_full_path(), body=request.body
        )
        if node.state == "revoked":
            raise Forbidden("E_NODE", node.standing)
        take_sequence(node=node, sequence=sequence)
        return node, sequence

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def acting_node(headers: Mapping[str, str], method: str, path: str) -> Node:
    """The confirmed node that signed a request whose body its path names. It may come again: no sequence is taken.

    Raises:
        Forbidden: E_SIGNATURE, E_NODE.
    """
    node = _node(headers.get(signed_request.NODE, ""))
    _verified(node, headers, method=method, path=path, body=b"")
    if not node.may_act:
        raise Forbidden("E_NODE", node.standing)
    return node


def _node(text: str) -> Node:
    try:
        identity = UUID(text)
    except ValueError as error:
        raise Forbidden("E_SIGNATURE", status=401) from error
    node = Node.objects.select_related("site").filter(pk=identity).exclude(identity_key="").first()
    if node is None:
        raise Forbidden("E_SIGNATURE", status=401)
    return node


def _verified(node: Node, headers: Mapping[str, str], *, method: str, path: str, body: bytes) -> int:
    try:
        return signed_request.verify(
            headers, public_key=node.identity_key, method=method, path=path, body=body, now=timezone.now()
        )
    except (Invalid, Refusal) as error:
        raise Forbidden("E_SIGNATURE", status=401) from error


class IsNode(BasePermission):
    """Nodes only; a person's token opens nothing here."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, Node)


class NodeSignatureScheme(OpenApiAuthenticationExtension):
    """How the OpenAPI document speaks of node signatures."""

    target_class = NodeSignature
    name = "nodeSignature"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": signed_request.SIGNATURE,
            "description": "Ed25519 over method, path, node, timestamp, sequence and the body's SHA-256; "
            "with FedStudy-Node, FedStudy-Timestamp and FedStudy-Sequence.",
        }

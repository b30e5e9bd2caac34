"""Errors of the node's console and agent: a stable code and a sentence."""

from fedstudy_core.errors import FedStudyError


class NodeError(FedStudyError):
    """Something on this node's side is not as it should be."""

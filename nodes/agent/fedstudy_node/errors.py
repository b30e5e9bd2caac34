"""Errors of the node's console and agent: a stable code and a sentence."""

from fedstudy_core.errors import FedStudyError


class NodeError(FedStudyError):
    """Something on this node's side is not as it should be."""


class FleetError(Exception):
    """A request to the SuperLink did not succeed."""


class Unreachable(FleetError):
    """The SuperLink does not answer, or a proxy in front of it says so."""


class AnswerLost(Unreachable):
    """The connection broke when the SuperLink may have answered already: what it handed out is lost."""


class KeyRefused(FleetError):
    """The SuperLink does not accept this node's signature: key unknown or removed, or the clock is off by seconds."""


class NotRegistered(FleetError):
    """The SuperLink does not activate this node: not registered yet, or still held as active by an earlier process."""


class RunEnded(FleetError):
    """The SuperLink takes nothing more for this run: it is finished, stopped or unknown."""


class NotTaken(FleetError):
    """The portal does not take the content of an answer now: it is away, or has no room."""


class TooLarge(FleetError):
    """The portal takes no content of this size, now or later."""


class ContentLost(FleetError):
    """An object of a message did not come, or came with another content than announced."""

"""What was verified is remembered for the same bytes under the same keys, and nothing else is."""

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from fedstudy_core.approvers import Approver
from fedstudy_core.errors import Refusal
from fedstudy_node.verified import MOST, Verified


class Asked:
    """A check that holds for what begins with “good”, and counts how often it was made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, envelope: bytes, trusted: Mapping[str, Approver]) -> bytes:
        self.times += 1
        if not envelope.startswith(b"good"):
            raise Refusal("E_SIG")
        return envelope + b" held"


TRUSTED: Mapping[str, Approver] = MappingProxyType({})


def test_the_same_bytes_under_the_same_keys_are_verified_once() -> None:
    asked = Asked()
    verified = Verified(asked)
    assert {verified(bytes(bytearray(b"good")), TRUSTED) for _ in range(3)} == {b"good held"}
    assert asked.times == 1
    assert verified(b"good one", TRUSTED) == b"good one held"


def test_a_refusal_is_found_anew() -> None:
    asked = Asked()
    verified = Verified(asked)
    for times in (1, 2):
        with pytest.raises(Refusal, match="E_SIG"):
            verified(b"bad", TRUSTED)
        assert asked.times == times


def test_under_other_keys_everything_is_verified_anew() -> None:
    asked = Asked()
    verified = Verified(asked)
    for trusted in (TRUSTED, MappingProxyType({}), TRUSTED):
        verified(b"good", trusted)
    assert asked.times == 3


def test_only_so_many_are_remembered() -> None:
    asked = Asked()
    verified = Verified(asked)
    for number in range(MOST + 1):
        verified(b"good %d" % number, TRUSTED)
    verified(b"good %d" % MOST, TRUSTED)
    assert asked.times == MOST + 1
    verified(b"good 0", TRUSTED)
    assert asked.times == MOST + 2

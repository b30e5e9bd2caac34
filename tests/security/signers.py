"""Attempts about who signs: signatures taken away, swapped or doubled, two people who are one, misused passkeys."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fedstudy_core import canonical, dsse, keys
from fedstudy_core.statement import PAYLOAD_TYPE
from fedstudy_node.datasets import Datasets
from fedstudy_node.trust import Trust, pinned
from tests.factories.agent import approval_key
from tests.security.hospital import ADMIN, FAB, STRANGER, Attempt, Hospital, named, payload_of, seal, without, written


def signatures(hospital: Hospital, good: bytes) -> Iterator[Attempt]:
    """Signatures taken away, doubled, swapped, of other people, under other names; two people who are one."""
    payload, whole = payload_of(good), json.loads(good)
    [own] = whole["signatures"]
    two = {**payload, "approvers": [ADMIN, named(hospital.steward)]}
    both = (approval_key(), hospital.steward_key)
    foreign = json.loads(hospital.node.approve(FAB, rounds=3))["signatures"][0]
    swapped = json.loads(seal(two, *both))
    nine = [{**own, "keyid": str(number)} for number in range(9)]
    first, second = swapped["signatures"]
    first["sig"], second["sig"] = second["sig"], first["sig"]
    cases: list[tuple[str, str, bytes]] = [
        ("no signature", "E_ENVELOPE", written({**whole, "signatures": []})),
        ("the signature twice", "E_ENVELOPE", written({**whole, "signatures": [own, own]})),
        ("nine signatures", "E_ENVELOPE", written({**whole, "signatures": nine})),
        ("the signature of another approval", "E_SIG", written({**whole, "signatures": [foreign]})),
        ("an empty signature", "E_SIG", written({**whole, "signatures": [{**own, "sig": ""}]})),
        ("by the steward alone", "E_SIGNERS", seal(payload, hospital.steward_key)),
        ("by one too many", "E_SIGNERS", seal(payload, *both)),
        ("by one of two", "E_SIGNERS", seal(two)),
        ("by the other of two", "E_SIGNERS", seal(two, hospital.steward_key)),
        ("two signatures swapped", "E_SIG", written(swapped)),
        ("by one of two and a stranger", "E_SIGNERS", seal(two, approval_key(), STRANGER)),
        ("by the node's own key", "E_SIGNERS", seal(payload, hospital.home.identity_key())),
        ("by a stranger beside us", "E_SIG", written({**whole, "signatures": [{**own, "sig": foreign["sig"]}]})),
    ]  # fmt: skip
    for name, code, envelope in cases:
        yield Attempt(name, code, envelope)
    steward = named(hospital.steward)
    for name, people in {
        "roles swapped": [{**ADMIN, "role": "data steward"}, {**steward, "role": "site admin"}],
        "names swapped": [{**ADMIN, "name": "Demo Steward"}, {**steward, "name": "Demo Admin"}],
        "keys swapped": [{**ADMIN, "key": steward["key"]}, {**steward, "key": ADMIN["key"]}],
    }.items():
        yield Attempt(name, "E_SIGNERS", seal({**payload, "approvers": people}, *both))
    yield from _two_people(hospital, payload, good)
    yield from _passkeys(hospital, payload)


def _two_people(hospital: Hospital, payload: dict[str, Any], good: bytes) -> Iterator[Attempt]:
    """A dataset that asks for a site admin and a data steward gets one person, or one person twice."""
    again = keys.generate()
    second = pinned(kind="console", name="Demo Second", role="site admin", key=keys.public_text(again.public_key()))
    twin = pinned(kind="console", name="Demo Passkey", role="data steward", key=keys.public_text(again.public_key()))

    def ask_for_two(at: Hospital) -> None:
        Datasets(at.home).add(replace(at.node.dataset, people=2))
        Trust(at.home).add(second)

    def with_twin(at: Hospital) -> None:
        Datasets(at.home).add(replace(at.node.dataset, people=2))
        Trust(at.home).add(twin)

    yield Attempt("one person of two", "E_SECOND_PERSON", good, prepare=ask_for_two)
    admins = {**payload, "approvers": [ADMIN, named(second)]}
    yield Attempt("two admins", "E_SECOND_PERSON", seal(admins, approval_key(), again), prepare=ask_for_two)
    stewards = {**payload, "approvers": [named(hospital.steward)]}
    yield Attempt("a steward alone", "E_SECOND_PERSON", seal(stewards, hospital.steward_key), prepare=ask_for_two)
    data = canonical.dumps({**payload, "approvers": [named(hospital.passkey.entry), named(twin)]})
    to_sign = dsse.pre_authentication(PAYLOAD_TYPE, data)
    signed = {hospital.passkey.entry.id: hospital.passkey.sign(to_sign), twin.id: again.sign(to_sign)}
    alone = dsse.assemble(PAYLOAD_TYPE, data, signed)
    yield Attempt("one person with two keys and two roles", "E_SECOND_PERSON", alone, prepare=with_twin)


def _passkeys(hospital: Hospital, payload: dict[str, Any]) -> Iterator[Attempt]:
    """Assertions that the passkey really made, elsewhere, for something else, or without its owner."""
    owner = hospital.passkey
    data = canonical.dumps({**payload, "approvers": [named(owner.entry)]})
    to_sign = dsse.pre_authentication(PAYLOAD_TYPE, data)

    def attempt(name: str, code: str, assertion: bytes) -> Attempt:
        envelope = dsse.assemble(PAYLOAD_TYPE, data, {owner.entry.id: assertion})
        return Attempt(f"passkey: {name}", code, envelope)

    says: list[tuple[str, dict[str, Any], str]] = [
        *[("another page", {"origin": page}, "E_WA_ORIGIN") for page in (
            "https://portal.test", "http://node.hospital.test", "https://node.hospital.test:8443",
            "https://node.hospital.test.evil.test", "null", "", None,
        )],
        *[("framed", {"crossOrigin": value}, "E_WA_CROSS_ORIGIN") for value in (True, "false", 0, 1)],
        ("inside another page", {"topOrigin": "https://portal.test"}, "E_WA_CROSS_ORIGIN"),
        *[("another ceremony", {"type": kind}, "E_WA_TYPE") for kind in ("webauthn.create", "payment.get", "", None)],
        *[("another challenge", {"challenge": text}, "E_WA_CHALLENGE") for text in ("AAAA", "", None, 7)],
    ]  # fmt: skip
    for name, client, code in says:
        yield attempt(f"{name} {client}", code, owner.sign(to_sign, **client))
    for flags, code in {
        0x00: "E_WA_UP", 0x04: "E_WA_UP", 0x01: "E_WA_UV", 0x07: "E_WA_FLAGS", 0x25: "E_WA_FLAGS", 0x45: "E_WA_FLAGS",
        0x15: "E_WA_FLAGS", 0x0D: "E_WA_SYNCED", 0x1D: "E_WA_SYNCED", 0x85: "E_WA_FLAGS",
    }.items():  # fmt: skip
        yield attempt(f"flags {flags:#04x}", code, owner.sign(to_sign, flags=flags))
    yield attempt("a tail", "E_WA_FLAGS", owner.sign(to_sign, tail=b"x"))
    for host in ("portal.test", "hospital.test", "evil.node.hospital.test", ""):
        yield attempt(f"for {host}", "E_WA_RPID", owner.sign(to_sign, host=host))
    yield attempt("over another statement", "E_WA_CHALLENGE", owner.sign(to_sign + b" "))
    assertion = json.loads(owner.sign(to_sign))
    stranger = json.loads(type(owner)().sign(to_sign))
    yield attempt("of another passkey", "E_SIG", canonical.dumps({**assertion, "signature": stranger["signature"]}))
    for name in assertion:
        yield attempt(f"no {name}", "E_ENVELOPE", canonical.dumps(without(assertion, (name,))))
        yield attempt(f"{name} not base64", "E_ENVELOPE", canonical.dumps({**assertion, name: "!"}))
    yield attempt("a console signature", "E_ENVELOPE", approval_key().sign(to_sign))
    counted = base64.b64decode(assertion["authenticatorData"])[:-1] + b"\x01"
    recounted = {**assertion, "authenticatorData": base64.b64encode(counted).decode()}
    yield attempt("another count", "E_SIG", canonical.dumps(recounted))

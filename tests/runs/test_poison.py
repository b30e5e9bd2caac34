"""What a hostile site may answer: none of it is taken, the round is completed without it, and the page says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from accounts.groups import group_for
from accounts.models import User
from accounts.roles import Role
from federation.runs.flower import Reply
from federation.runs.models import Participation
from fedstudy_core import flower as records
from tests.runs.scene import Scene, drive, settle
from tests.runs.simulation import Site, arrays, honest

pytestmark = pytest.mark.django_db

POISONED, WELL = "Site 2", (0 * 1 + 1 * 2) / 3


def update(weight: Any = (0.0, 0.0), *, dtype: str = "float32", name: str = "weight", **values: Any) -> RecordDict:
    """An answer whose one array and metrics are as wished."""
    array = records.array(np.asarray(weight, dtype=dtype))
    return RecordDict({"arrays": ArrayRecord({name: array}), "metrics": numbers(**values)})


def numbers(**values: Any) -> MetricRecord:
    return MetricRecord({"num-examples": 3, "loss": 0.5, "bins": [1, 2]} | values)


def without(name: str) -> RecordDict:
    content = update()
    content["metrics"] = MetricRecord({key: value for key, value in numbers().items() if key != name})
    return content


def raw(
    data: bytes, *, shape: tuple[int, ...] = (2,), dtype: str = "float32", stype: str = "numpy.ndarray"
) -> RecordDict:
    """An answer whose array is these very bytes."""
    array = Array(dtype=dtype, shape=shape, stype=stype, data=data)
    return RecordDict({"arrays": ArrayRecord({"weight": array}), "metrics": numbers()})


def npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


HEADER = "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}"
NPY_HEADER = 128
PICKLE = b"cos\nsystem\n(S'true'\ntR."

UPDATES: dict[str, tuple[Callable[[], RecordDict], str]] = {
    "a value that is no number": (lambda: update([np.nan, 0]), "E_UPDATE_NOT_FINITE"),
    "infinity": (lambda: update([np.inf, 0]), "E_UPDATE_NOT_FINITE"),
    "infinity below zero": (lambda: update([0, -np.inf]), "E_UPDATE_NOT_FINITE"),
    "too few values": (lambda: update([0.0]), "E_UPDATE_SHAPE"),
    "too many values": (lambda: update([0.0] * 3), "E_UPDATE_SHAPE"),
    "a column for a row": (lambda: update([[0.0], [0.0]]), "E_UPDATE_SHAPE"),
    "a scalar": (lambda: update(0.0), "E_UPDATE_SHAPE"),
    "no values": (lambda: update([]), "E_UPDATE_SHAPE"),
    "a dimension more": (lambda: update([[0.0, 0.0]]), "E_UPDATE_SHAPE"),
    "doubles": (lambda: update(dtype="float64"), "E_UPDATE_DTYPE"),
    "halves": (lambda: update(dtype="float16"), "E_UPDATE_DTYPE"),
    "whole numbers": (lambda: update(dtype="int64"), "E_UPDATE_DTYPE"),
    "truth values": (lambda: update(dtype="bool"), "E_UPDATE_DTYPE"),
    "complex numbers": (lambda: update(dtype="complex64"), "E_UPDATE_DTYPE"),
    "another byte order": (lambda: update(dtype=">f4"), "E_UPDATE_DTYPE"),
    "texts": (lambda: update(["a", "b"], dtype="U1"), "E_UPDATE_DTYPE"),
    "another name": (lambda: update(name="other"), "E_UPDATE_NAMES"),
    "a name that looks alike": (lambda: update(name="w\u0435ight"), "E_UPDATE_NAMES"),
    "one array more": (
        lambda: RecordDict({"arrays": arrays(weight=[0, 0], more=[0]), "metrics": numbers()}), "E_UPDATE_NAMES"
    ),
    "no array": (lambda: RecordDict({"arrays": ArrayRecord({}), "metrics": numbers()}), "E_UPDATE_NAMES"),
    "no weight": (lambda: without("num-examples"), "E_UPDATE_WEIGHT"),
    "a weight of nothing": (lambda: update(**{"num-examples": 0}), "E_UPDATE_WEIGHT"),
    "a weight below zero": (lambda: update(**{"num-examples": -9}), "E_UPDATE_WEIGHT"),
    "a weight beyond all data": (lambda: update(**{"num-examples": 10**12}), "E_UPDATE_WEIGHT"),
    "a weight beyond the rows that the site offered": (lambda: update(**{"num-examples": 500}), "E_UPDATE_WEIGHT"),
    "a broken weight": (lambda: update(**{"num-examples": 1.5}), "E_UPDATE_WEIGHT"),
    "a weight that is no number": (lambda: update(**{"num-examples": np.nan}), "E_METRICS_NOT_FINITE"),
    "a metric that is no number": (lambda: update(loss=np.nan), "E_METRICS_NOT_FINITE"),
    "an infinite metric": (lambda: update(loss=np.inf), "E_METRICS_NOT_FINITE"),
    "a list where a number is declared": (lambda: update(loss=[0.1, 0.2]), "E_METRICS_FORM"),
    "a number where a list is declared": (lambda: update(bins=3), "E_METRICS_FORM"),
    "a count below zero": (lambda: update(bins=[-1, 5]), "E_METRICS_FORM"),
    "a list without end": (lambda: update(bins=[1] * 10_001), "E_METRICS_SIZE"),
    "a thousand metrics": (lambda: update(**{f"m{number}": 1 for number in range(1000)}), "E_METRICS_SIZE"),
    "words in a metric's name": (lambda: update(**{"Ada Lovelace, born 1815; " * 10: 1}), "E_METRICS_SIZE"),
    "nothing": (RecordDict, "E_REPLY"),
    "no metrics": (lambda: RecordDict({"arrays": arrays(weight=[0, 0])}), "E_REPLY"),
    "texts for arrays": (
        lambda: RecordDict({"arrays": ConfigRecord({"weight": "none"}), "metrics": numbers()}), "E_REPLY"
    ),
    "a pickle for an array": (lambda: raw(PICKLE), "E_REPLY"),
    "objects for numbers": (lambda: raw(npy(HEADER.format("|O", "(2,)"), PICKLE)), "E_UPDATE_DTYPE"),
    "a pickle that says so": (lambda: raw(PICKLE, stype="pickle"), "E_REPLY"),
    "a header that promises terabytes": (lambda: raw(npy(HEADER.format("<f4", "(1000000000000,)"))), "E_REPLY"),
    "fewer bytes than the header says": (lambda: raw(npy(HEADER.format("<f4", "(2,)"), b"\0" * 7)), "E_REPLY"),
    "no bytes": (lambda: raw(b""), "E_REPLY"),
}  # fmt: skip


def _replied(content: RecordDict, receipt: bytes) -> RecordDict:
    return records.wrap_reply(records.Packed(records.pieces_of(content)), receipt)


def _forged(site: Site, order: Any, content: RecordDict) -> RecordDict:
    from fedstudy_core.keys import generate

    return Site(site.node_id, generate()).done(order, content)


def _cut_short(site: Site, order: Any, content: RecordDict) -> RecordDict:
    reply = site.done(order, content)
    record = reply[records.RECEIPT]
    reply[records.RECEIPT] = ConfigRecord({**record, records.CONTENT: record[records.CONTENT][:-3]})  # type: ignore[dict-item,index]
    return reply


def _flipped(site: Site, order: Any, content: RecordDict) -> RecordDict:
    reply = site.done(order, content)
    record = reply[records.RECEIPT]
    altered = bytearray(record[records.CONTENT])  # type: ignore[arg-type]
    altered[altered.index(b"\x93NUMPY") + NPY_HEADER] ^= 1
    reply[records.RECEIPT] = ConfigRecord({**record, records.CONTENT: bytes(altered)})  # type: ignore[dict-item]
    return reply


REPLIES: dict[str, tuple[Callable[[Site, Any, RecordDict], RecordDict], str]] = {
    "signed by somebody else": (_forged, "E_RECEIPT"),
    "a receipt of another round": (lambda site, order, content: site.done(order, content, round=7), "E_RECEIPT"),
    "a receipt of another run": (lambda site, order, content: site.done(order, content, run="7"), "E_RECEIPT"),
    "a receipt of another phase": (lambda site, order, content: site.done(order, content, phase="query"), "E_RECEIPT"),
    "a receipt that says refused": (
        lambda site, order, content: _replied(content, site.receipt(order, outcome="refused", code="E_SIG")
        ),
        "E_RECEIPT",
    ),
    "a receipt of another update": (
        lambda site, order, content: _replied(content, site.receipt(order, outcome="done", update_sha256="0" * 64)
        ),
        "E_RECEIPT",
    ),
    "no receipt": (lambda _, __, content: content, "E_REPLY"),
    "a receipt that is none": (
        lambda _, __, content: _replied(content, b"not signed"), "E_RECEIPT"
    ),
    "cut short on the way": (_cut_short, "E_REPLY"),
    "altered on the way": (_flipped, "E_RECEIPT"),
}  # fmt: skip


def poison(scene: Scene, link: Any, make: Callable[[Site, Any, RecordDict], RecordDict]) -> str:
    """Drive a run in which one site's training is answered so; returns the code that it was left out with."""

    def answer(site: Site, order: Any, content: RecordDict) -> Reply:
        if order.phase == "train":
            return Reply("", make(site, order, honest(site, order, content)), "", True, 100)
        return Reply("", site.done(order, honest(site, order, content)), "", True, 100)

    link.sites["102"].behave = answer
    run = drive(scene)
    assert (run.state, run.reason) == ("completed", "")
    states = settle(run, "train", 1)
    assert {site: state for site, (state, _) in states.items()} == {
        "Site 0": "done", "Site 1": "done", POISONED: "failed",
    }  # fmt: skip
    return states[POISONED][1]


def page_of(scene: Scene) -> str:
    """The run page, as the study's lead sees it."""
    lead = User.objects.get(email="pi@demo.example")
    group_for(Role.PI, scene.run.study).user_set.add(lead)
    client = Client()
    client.force_login(lead)
    return client.get(reverse("web:run", args=[scene.run.pk])).content.decode()


def told_of(scene: Scene) -> str:
    """The sentence that says why the site was left out."""
    return Participation.objects.get(round__run=scene.run, round__number=1, phase="train", state="failed").detail


def weight_after(scene: Scene) -> list[float]:
    from tests.runs.test_engine import weights

    return weights(scene.run, 1)


def test_the_corpus_is_large_enough() -> None:
    assert len(UPDATES) + len(REPLIES) >= 50


@pytest.mark.parametrize("name", UPDATES)
def test_a_poisoned_update_is_left_out_and_told(rehearse: Any, name: str) -> None:
    make, code = UPDATES[name]
    scene, link = rehearse(rounds=1, quorum=2)
    assert poison(scene, link, lambda site, order, _: site.done(order, make())) == code
    np.testing.assert_allclose(weight_after(scene), [WELL] * 2, rtol=1e-6)
    page = page_of(scene)
    assert code in page
    assert escape(told_of(scene)) in page


@pytest.mark.parametrize("name", REPLIES)
def test_a_poisoned_reply_is_left_out_and_told(rehearse: Any, name: str) -> None:
    make, code = REPLIES[name]
    scene, link = rehearse(rounds=1, quorum=2)
    assert poison(scene, link, make) == code
    np.testing.assert_allclose(weight_after(scene), [WELL] * 2, rtol=1e-6)
    page = page_of(scene)
    assert code in page
    assert escape(told_of(scene)) in page

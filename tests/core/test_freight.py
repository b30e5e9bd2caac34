"""Large contents on their way: the shelf, and what is read of them."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstudy_core.artifacts import digest_of
from fedstudy_core.errors import FedStudyError
from fedstudy_core.freight import Freight, Shelf, lying, told_apart

RUN, ANSWER = "0b5e-1", "17"


def named(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def shelf_at(folder: Path) -> Shelf:
    shelf = Shelf(folder)
    shelf.expect(RUN, ANSWER)
    return shelf


@given(st.binary(min_size=1, max_size=4000), st.lists(st.integers(0, 4000), max_size=5))
def test_however_often_it_breaks_off_it_comes_whole(data: bytes, breaks: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shelf = shelf_at(Path(folder))
        arrival = shelf.arriving(RUN, ANSWER)
        for stop in sorted({min(stop, len(data)) for stop in breaks}):
            begin = arrival.size(named(data))
            with arrival.begin(named(data), begin) as writing:
                writing.add(data[begin:stop])
        begin = arrival.size(named(data))
        with arrival.begin(named(data), begin) as writing:
            writing.add(data[begin:])
            writing.finish()
        assert arrival.is_whole(named(data))
        path = shelf.arrived(RUN, ANSWER, named(data))
        assert path.read_bytes() == data
        assert bytes(lying(path, named(data)).data) == data


def test_another_content_is_not_taken_under_a_name(tmp_path: Path) -> None:
    shelf = shelf_at(tmp_path)
    arrival = shelf.arriving(RUN, ANSWER)
    with arrival.begin(named(b"right"), 0) as writing:
        writing.add(b"wrong")
        with pytest.raises(FedStudyError, match="E_HASH"):
            writing.finish()
    assert arrival.size(named(b"right")) == 0
    with pytest.raises(FedStudyError, match="E_ARTIFACT_MISSING"):
        shelf.arrived(RUN, ANSWER, named(b"right"))


def test_an_answer_has_one_file_and_goes_on_where_it_is(tmp_path: Path) -> None:
    arrival = shelf_at(tmp_path).arriving(RUN, ANSWER)
    for data in (b"first answer", b"second"):
        with arrival.begin(named(data), 0) as writing:
            writing.add(data[:3])
    assert [path.name for path in tmp_path.rglob("*.*")] == [f"{ANSWER}.{named(b'second')}.part"]
    assert arrival.size(named(b"second")) == 3
    with pytest.raises(FedStudyError, match="E_OFFSET"):
        arrival.begin(named(b"second"), 2)


def test_who_begins_anew_is_not_written_into_by_who_began_before(tmp_path: Path) -> None:
    shelf = shelf_at(tmp_path)
    arrival, data = shelf.arriving(RUN, ANSWER), b"the update"
    with arrival.begin(named(data), 0) as before:
        with arrival.begin(named(data), 0) as writing:
            writing.add(data)
            writing.finish()
        before.add(data)
        with pytest.raises(FedStudyError, match="E_NOT_FOUND"):
            before.finish()
        before.add(b"and more")
    assert shelf.arrived(RUN, ANSWER, named(data)).read_bytes() == data


def test_who_finishes_late_does_not_finish_another_ones_part(tmp_path: Path) -> None:
    shelf = shelf_at(tmp_path)
    arrival, data = shelf.arriving(RUN, ANSWER), b"the update"
    with arrival.begin(named(data), 0) as before:
        before.add(data)
        with arrival.begin(named(data), 0), pytest.raises(FedStudyError, match="E_NOT_FOUND"):
            before.finish()
    assert not arrival.is_whole(named(data))


def test_two_do_not_go_on_at_once(tmp_path: Path) -> None:
    arrival, data = shelf_at(tmp_path).arriving(RUN, ANSWER), b"the update"
    with arrival.begin(named(data), 0) as writing:
        writing.add(data[:4])
        with pytest.raises(FedStudyError, match="E_OFFSET"):
            arrival.begin(named(data), 4)
    arrival.begin(named(data), 4).__exit__()


def test_an_empty_answer_is_none(tmp_path: Path) -> None:
    shelf = shelf_at(tmp_path)
    with shelf.arriving(RUN, ANSWER).begin(named(b""), 0) as writing:
        writing.finish()
    with pytest.raises(FedStudyError, match="E_REPLY"):
        shelf.arrived(RUN, ANSWER, named(b""))


def test_what_a_crash_left_of_an_offer_is_written_again(tmp_path: Path) -> None:
    shelf = shelf_at(tmp_path)
    shelf.offer(RUN, named(b"model"), [b"model"])
    shelf.offered(RUN, named(b"model")).write_bytes(b"mo")
    shelf.offer(RUN, named(b"model"), [b"mo", b"del"])
    assert shelf.offered(RUN, named(b"model")).read_bytes() == b"model"


def test_only_answers_that_are_expected_are_taken(tmp_path: Path) -> None:
    shelf = shelf_at(tmp_path)
    with pytest.raises(FedStudyError, match="E_NOT_FOUND"):
        shelf.arriving(RUN, "18")
    shelf.clear(RUN)
    with pytest.raises(FedStudyError, match="E_NOT_FOUND"):
        shelf.arriving(RUN, ANSWER)


def test_a_run_that_is_over_takes_and_offers_nothing(tmp_path: Path) -> None:
    shelf = shelf_at(tmp_path)
    shelf.offer(RUN, named(b"model"), [b"mo", b"del"])
    assert shelf.offered(RUN, named(b"model")).read_bytes() == b"model"
    arrival = shelf.arriving(RUN, ANSWER)
    with arrival.begin(named(b"late"), 0) as writing:
        writing.add(b"late")
        shelf.clear(RUN)
        with pytest.raises(FedStudyError, match="E_NOT_FOUND"):
            writing.finish()
    assert not shelf.offered(RUN, named(b"model")).exists()
    shelf.close(RUN)
    with pytest.raises(FedStudyError, match="E_NOT_FOUND"):
        shelf.arriving(RUN, ANSWER)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["../elsewhere", "", "a/b", "A", "a" * 65])
def test_names_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    shelf = shelf_at(tmp_path)
    for look in (
        lambda: shelf.offered(name, "a"),
        lambda: shelf.offered(RUN, name),
        lambda: shelf.arriving(RUN, name),
        lambda: shelf.arriving(RUN, ANSWER).size(name),
    ):
        with pytest.raises(FedStudyError, match="E_NOT_FOUND"):
            look()


def test_what_lies_in_a_freight_is_told_by_its_name_and_place() -> None:
    data = memoryview(np.random.default_rng(1).bytes(1000)).toreadonly()
    freight = Freight(named(bytes(data)), data)
    pieces = [b"head", data[16:500], data[512:]]
    assert list(told_apart(pieces, None)) == pieces
    told = list(told_apart(pieces, freight))
    assert told[0] == b"head"
    assert all(freight.sha256.encode() in bytes(piece) for piece in told[1:])
    assert digest_of(told) != digest_of(told_apart([b"head", data[16:500], data[511:]], freight))
    assert list(told_apart([bytes(data[16:500])], freight)) == [data[16:500]]  # the same bytes, from elsewhere

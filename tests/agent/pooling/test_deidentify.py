"""De-identification: nothing that names a patient leaves, and what leaves is what the terms say."""

import datetime
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedstudy_core.dictionary import parse
from fedstudy_node.holdout import split_indices
from fedstudy_node.pooling.actions import Shifting
from fedstudy_node.pooling.deidentify import (
    Deidentified,
    check_groups,
    deidentify,
    group_sizes,
    named_types,
    read_table,
    written_table,
)
from tests.factories import consents
from tests.factories.agent import STUDY
from tests.factories.consents import VARIABLES, WISH, refused

SHIFTING = Shifting(b"s" * 32, STUDY)


def made(
    table: pyarrow.Table | None = None, variables: list[dict[str, Any]] = VARIABLES, **changed: Any
) -> Deidentified:
    table = consents.table() if table is None else table
    return deidentify(table, consents.wish(**changed).terms, parse(variables), SHIFTING)


def profile(**changed: Any) -> dict[str, Any]:
    return {**WISH["profile"], **changed}


def test_only_training_rows_leave_as_the_terms_make_them() -> None:
    done = made()
    table, report = done.table, done.report
    assert table.column_names == ["age", "sex", "chol", "admitted", "num"]
    assert report.stays == ["smoker", "remark", "mrn", "record"]
    assert (report.at_home, report.training) == (300, 198)
    assert report.rows == report.chosen == len(table) < 198
    assert set(table["age"].to_pylist()) <= {30, 60}
    assert all(value % 10 == 0 for value in table["chol"].to_pylist())
    assert report.k == min(group_sizes(table, ["age", "sex"]).values()) >= 10
    check_groups(report, consents.wish().k)


def test_test_rows_stay() -> None:
    """The rows are those that a script trains on, by the same split."""
    table = consents.table()
    labels = np.array([value > 0 for value in table["num"].to_pylist()], dtype=float)
    train, test = split_indices(labels, train=0.66, seed=43)
    plain = {name: {"action": "keep"} for name in ("sex", "num")}
    done = made(
        level="F4", filter=[], profile={"age": {"action": "round", "digits": 0}, **plain}, k={"columns": ["sex"]}
    )
    ages = sorted(float(table["age"][int(row)].as_py()) for row in train)
    assert sorted(done.table["age"].to_pylist()) == ages
    assert len(train) + len(test) == len(table)


def test_incomplete_rows_do_not_count() -> None:
    table = consents.table(300, age=[None if row < 30 else 40 + row % 40 for row in range(300)])
    assert made(table).report.training == int(0.66 * 270)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"profile": profile(mrn={"action": "keep"})}, "E_POOL_COLUMNS"),
        ({"profile": profile(remark={"action": "keep"})}, "E_PROFILE"),
        ({"profile": profile(record={"action": "keep"})}, "E_PROFILE"),
        ({"profile": profile(record={"action": "band", "width": 10})}, "E_PROFILE"),
        ({"profile": profile(admitted={"action": "keep"})}, "E_PROFILE"),
        ({"profile": profile(admitted={"action": "round", "digits": 1})}, "E_PROFILE"),
        ({"profile": profile(sex={"action": "band", "width": 2})}, "E_PROFILE"),
        ({"profile": profile(chol={"action": "shift_days", "most": 3})}, "E_PROFILE"),
        ({"profile": profile(unknown={"action": "keep"})}, "E_POOL_COLUMNS"),
        ({"filter": [{"column": "nobody", "op": "=", "value": 1}]}, "E_POOL_COLUMNS"),
        ({"filter": [{"column": "sex", "op": "<", "value": "male"}]}, "E_PROFILE"),
        ({"filter": [{"column": "age", "op": "=", "value": "old"}]}, "E_PROFILE"),
        ({"filter": [{"column": "smoker", "op": "=", "value": "true"}]}, "E_PROFILE"),
    ],
)
def test_what_is_not_plainly_harmless_is_refused(changed: dict[str, Any], code: str) -> None:
    assert refused(lambda: made(**changed)) == code


def test_terms_name_columns_once_and_people_do_not_choose_the_pool_nodes() -> None:
    assert refused(lambda: consents.wish(profile={"age": {"action": "blur"}})) == "E_PROFILE"
    assert refused(lambda: consents.wish(more=1)) == "E_PROFILE"
    assert refused(lambda: consents.wish(k={"columns": []})) == "E_PROFILE"


PLANTED = {
    "a name among codes": {"sex": ["Jane Planted" if row % 7 == 0 else "male" for row in range(300)]},
    "a telephone number among codes": {"sex": ["+49 171 5550101" if row % 9 == 0 else "female" for row in range(300)]},
    "a record number in a range": {"age": [77_000_123 if row % 31 == 3 else 50 for row in range(300)]},
    "a record number among measurements": {"chol": [880_000_001.0 if row % 23 == 5 else 200.0 for row in range(300)]},
    "words where numbers are": {"chol": [f"{row}, Mrs Planted" for row in range(300)]},
    "a measurement that is a key": {"chol": [100 + row / 7 for row in range(300)]},
    "words where dates are": {"admitted": ["2020-01-01 Mr Planted"] * 300},
    "a negative insurance number": {"num": [-5_550_101 if row % 17 == 1 else row % 4 for row in range(300)]},
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_planted_identifiers_leave_in_no_way(planted: dict[str, Any]) -> None:
    """Each is refused, whatever is to be done to its column, once it is in a row that would leave."""
    acts: dict[str, Any] = {
        name: [{"action": "keep"}, {"action": "round", "digits": 3}, {"action": "top", "at": 10**9}]
        if name in ("age", "chol", "num")
        else [{"action": "keep"}, WISH["profile"].get(name)]
        for name in planted
    }
    for name, actions in acts.items():
        for action in actions:
            loose = {**profile(**{name: action})}
            code = refused(lambda loose=loose: made(consents.table(**planted), profile=loose, filter=WISH["filter"]))
            assert code in ("E_PROFILE", "E_POOL_COLUMNS"), (name, action)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sets(st.sampled_from(["age", "sex", "chol", "admitted", "num"]), min_size=2))
def test_no_planted_value_is_in_what_leaves(seed: int, names: set[str]) -> None:
    """Whatever is chosen of what may leave: no name, number or remark of a patient is among the bytes."""
    chosen = {name: action for name, action in WISH["profile"].items() if name in names}
    quasi = [name for name in ("age", "sex", "num", "chol", "admitted") if name in names][:1]
    table = consents.table(200, seed)
    done = deidentify(table, consents.wish(profile=chosen, k={"columns": quasi}).terms, consents.dictionary(), SHIFTING)
    leaving = written_table(done.table)
    for mark in (b"Planted", b"MRN-77", b"+49 171", b"remark", b"mrn", b"record", b"smoker"):
        assert mark not in leaving
    assert not {88, 880} & {
        value // 10**6 for row in done.table.to_pylist() for value in row.values() if _is_whole(value)
    }


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(18, 110))
def test_a_band_holds_its_values(width: int, age: int) -> None:
    table = consents.table(60, age=[age] * 60)
    done = made(
        table,
        filter=[{"column": "age", "op": ">=", "value": 18}],
        profile=profile(age={"action": "band", "width": width}),
    )
    (edge,) = set(done.table["age"].to_pylist())
    assert edge <= age < edge + width
    assert edge % width == 0


def test_dates_of_one_patient_move_together_and_never_stay() -> None:
    days = [datetime.date(2020, 1, 1 + row % 5) for row in range(300)]
    visits = consents.table(300, admitted=days, mrn=[f"MRN-{row // 3}" for row in range(300)])
    by_patient = {"action": "shift_days", "most": 90, "patient": "mrn"}
    for seen in range(3):
        shift = SHIFTING.days(f"MRN-{seen}", 90)
        assert 1 <= abs(shift) <= 90
        assert shift == SHIFTING.days(f"MRN-{seen}", 90)
    assert len({SHIFTING.days(f"MRN-{number}", 90) for number in range(100)}) > 20
    assert SHIFTING.days("MRN-1", 90) != Shifting(b"t" * 32, STUDY).days("MRN-1", 90) or SHIFTING.days(
        "MRN-2", 90
    ) != Shifting(b"t" * 32, STUDY).days("MRN-2", 90)
    moved = made(visits, profile=profile(admitted=by_patient)).table["admitted"].to_pylist()
    assert moved and all(isinstance(day, datetime.date) for day in moved)
    alike = made(visits, profile=profile(admitted={"action": "shift_days", "most": 90})).table["admitted"].to_pylist()
    assert len(set(alike)) == 5
    assert set(alike) != set(days)


@given(st.integers(1, 3650), st.text(max_size=20))
def test_shifts_stay_within_their_bounds(most: int, patient: str) -> None:
    assert 1 <= abs(SHIFTING.days(patient, most)) <= most


def test_groups_that_are_too_small_are_refused_or_left_out() -> None:
    rare = consents.table(300, sex=["female" if row % 60 == 0 else "male" for row in range(300)])
    refused_report = made(rare).report
    assert refused_report.k < 10
    assert refused_report.too_small > 0
    assert refused(lambda: check_groups(refused_report, consents.wish().k)) == "E_POOL_K"
    lower = consents.wish(k={"columns": ["age", "sex"], "least": 1})
    check_groups(made(rare, k={"columns": ["age", "sex"], "least": 1}).report, lower.k)
    left = made(rare, k={"columns": ["age", "sex"], "suppress": True})
    assert left.report.suppressed == refused_report.too_small
    assert set(left.table["sex"].to_pylist()) == {"male"}
    check_groups(left.report, consents.wish().k)
    none = made(filter=[{"column": "age", "op": ">", "value": 109}])
    assert refused(lambda: check_groups(none.report, consents.wish().k)) == "E_POOL_K"


def test_the_order_of_rows_tells_nothing() -> None:
    table = consents.table()
    ages = [{"column": "age", "op": "in", "value": list(range(18, 111))}]
    keep = {name: {"action": "keep"} for name in ("age", "sex", "num")}
    one = made(table, filter=ages, profile=keep, k={"columns": ["sex"]})
    rows = [tuple(row.values()) for row in one.table.to_pylist()]
    assert rows == sorted(rows)


def test_what_is_written_is_read_again() -> None:
    table = made().table
    again = read_table(written_table(table))
    assert again.equals(table)
    assert named_types(again)[0] == ["age", "int64"]
    assert again.schema.metadata is None
    for broken in (b"", b"ARROW1", written_table(table)[:-40]):
        assert refused(lambda broken=broken: read_table(broken)) == "E_SEALED"


def _is_whole(value: object) -> bool:
    return isinstance(value, int | float)

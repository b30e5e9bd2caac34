"""State tables: every pair of states, in the services' table and in the database."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, models, transaction

from accounts.models import AccessRequest
from accounts.states import REQUEST
from audit.states import StateTable
from fedstudy_core.errors import Conflict
from nodes.registry.models import Node
from nodes.registry.states import NODE
from studies.dictionary.models import Dataset
from studies.dictionary.states import DATASET
from studies.enrolment.models import Enrolment
from studies.enrolment.states import ENROLMENT
from studies.lifecycle.models import Study
from studies.lifecycle.states import STUDY
from studies.pooling.models import PoolConsent, PooledObject, PoolKey, PoolNode
from studies.pooling.states import CONSENT, KEY, OBJECT, POOL_NODE
from studies.scripts.models import Approval, ScriptVersion
from studies.scripts.states import APPROVAL, VERSION
from tests.factories.pools import on_file
from tests.factories.studies import new_study, new_version, site_in_study

TABLES: dict[type[models.Model], StateTable] = {
    Study: STUDY,
    Dataset: DATASET,
    Enrolment: ENROLMENT,
    ScriptVersion: VERSION,
    Approval: APPROVAL,
    Node: NODE,
    AccessRequest: REQUEST,
    PoolNode: POOL_NODE,
    PoolKey: KEY,
    PoolConsent: CONSENT,
    PooledObject: OBJECT,
}
PAIRS = [(table, old, new) for table in TABLES.values() for old, new in product(table.states, repeat=2)]


@pytest.mark.parametrize(("table", "old", "new"), PAIRS, ids=lambda value: getattr(value, "name", value))
def test_every_pair_moves_or_is_refused(table: StateTable, old: str, new: str) -> None:
    subject = SimpleNamespace(state=old)
    if new in table.moves[old]:
        assert table.move(subject, new) == old
        assert subject.state == new
    else:
        with pytest.raises(Conflict) as refused:
            table.move(subject, new)
        assert refused.value.code == "E_STATE"
        assert subject.state == old


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_unknown_states_are_refused(table: StateTable) -> None:
    with pytest.raises(Conflict, match="E_STATE"):
        table.move(SimpleNamespace(state=table.initial), "elsewhere")
    with pytest.raises(Conflict, match="E_STATE"):
        table.move(SimpleNamespace(state="elsewhere"), table.initial)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_state_can_be_reached(table: StateTable) -> None:
    reached, fresh = {table.initial}, {table.initial}
    while fresh:
        fresh = {new for old in fresh for new in table.moves[old]} - reached
        reached |= fresh
    assert reached | {"invalid"} == set(table.states) | {"invalid"}


def test_a_table_with_unknown_states_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="does not have"):
        StateTable(name="demo", initial="a", moves={"a": {"b"}})
    with pytest.raises(ValueError, match="does not have"):
        StateTable(name="demo", initial="b", moves={"a": set()})


def test_a_table_stays_as_it_is() -> None:
    with pytest.raises(TypeError):
        STUDY.moves["draft"] = frozenset({"archived"})  # type: ignore[index]


def test_a_diagram_shows_all_moves() -> None:
    table = StateTable(name="demo", initial="open", moves={"open": {"shut"}, "shut": set()})
    assert table.diagram() == "stateDiagram-v2\n    [*] --> open\n    open --> shut\n    shut --> [*]\n"


@pytest.fixture
def rows(db: None) -> dict[type[models.Model], Any]:
    """One row of each model, by the services."""
    study, pi = new_study(state="recruiting")
    site = site_in_study(study, pi)
    version = new_version(study, pi)
    approval = Approval.objects.create(
        version=version, site=site.site, node_id=str(site.node.pk), dataset=site.dataset, envelope=b"x", statement={},
        statement_id="a" * 64, decision="approved", signed_at="2030-01-01T00:00Z", not_before="2030-01-01T00:00Z",
        not_after="2030-02-01T00:00Z",
        approver_name="Demo Admin", key_id="b" * 64,
    )  # fmt: skip
    asked = AccessRequest.objects.create(person=pi, role="auditor", content_object=study, reason="demo")
    consent = on_file(study, site.site, site.node, site.dataset, pi)
    return {
        Study: study, Dataset: site.dataset, Enrolment: site.enrolment, ScriptVersion: version, Approval: approval,
        Node: site.node, AccessRequest: asked, PoolConsent: consent, PoolKey: consent.key,
        PoolNode: consent.key.pool_node, PooledObject: consent.sent.get(),
    }  # fmt: skip


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
def test_the_database_refuses_unknown_states(rows: dict[type[models.Model], Any], model: type[models.Model]) -> None:
    row = rows[model]
    with pytest.raises((IntegrityError, DatabaseError)), transaction.atomic():
        model._default_manager.filter(pk=row.pk).update(state="elsewhere")


@pytest.mark.parametrize("model", TABLES, ids=lambda model: model.__name__)
def test_the_database_refuses_moves_that_are_not_in_the_table(
    rows: dict[type[models.Model], Any], model: type[models.Model]
) -> None:
    row, table = rows[model], TABLES[model]
    forbidden = [state for state in table.states if state != row.state and not table.allows(row.state, state)]
    for state in forbidden:
        with pytest.raises(DatabaseError, match="Invalid transition"), transaction.atomic():
            model._default_manager.filter(pk=row.pk).update(state=state)
    row.refresh_from_db()
    assert row.state not in forbidden


def test_the_database_holds_the_same_moves_as_the_table() -> None:
    for model, table in TABLES.items():
        names = [trigger.name for trigger in model._meta.original_attrs["triggers"]]
        assert "state_moves" in names, model
        (trigger,) = [item for item in model._meta.original_attrs["triggers"] if item.name == "state_moves"]
        assert sorted(trigger.transitions) == sorted(table.pairs)

"""A comparison of degrees on the whole stack: by one call, from the plan of a run, over the four hospitals."""

from __future__ import annotations

from itertools import pairwise

import pytest

from fedstudy_client.client import FedStudy
from tests.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_each_alone_all_together_and_who_has_what_of_it(stage: Stage) -> None:
    portal = FedStudy(stage.stack.portal_url).login(stage.cast.investigator.email, stage.cast.investigator.password)
    shared = stage.start_run(rounds=2, label="Shared")
    assert stage.wait_for_end(shared)["state"] == "completed"
    made = portal.degrees.of_run(shared, kinds=["alone", "federated", "central"])
    assert made.hindered == []
    assert {(item["kind"], item["reason"]) for item in made.lacking} == {("central", "no_pool")}
    found = portal.degrees.wait(made, timeout=90)
    assert [item["run"]["state"] for item in found.runs] == ["completed"] * 5

    alone, together = found.rows
    assert (alone["kind"], together["kind"], found.base, found.same_rows) == ("alone", "federated", "federated", True)
    assert found.sites == sorted(stage.prepared.sites)
    assert [figure["rows"] for figure in together["sites"]] == [104, 89, 16, 45]
    assert all(figure["low"] < figure["value"] < figure["high"] for figure in together["sites"][:2])
    assert (alone["trained"], together["trained"], together["exposed"]) == ([30, 199], [486, 486], 0)
    told = portal.runs.results(together["runs"][0])
    by_site = {item["site"]: item["metrics"]["auc"] for item in told["sites"]}
    assert [figure["value"] for figure in together["sites"]] == [by_site[name] for name in found.sites]
    assert together["weighted"]["value"] == pytest.approx(told["pooled"]["auc"])
    assert together["ranking"]["value"] == pytest.approx(told["pooled"]["pooled-auc"])
    own = [item["own"]["value"] for item in found.contributions]
    assert own == [figure["value"] for figure in alone["sites"]]
    assert any(one != other for one, other in pairwise(own))

    assert found.offered == ["fedbn"]
    begun = portal.degrees.start(found, personalised=found.offered)
    assert (begun.hindered, begun.personalised, begun.offered) == ([], ["fedbn"], [])
    found = portal.degrees.wait(begun, timeout=60)
    own_parts = found.rows[-1]
    assert (own_parts["kind"], own_parts["strategy"], own_parts["trained"]) == ("personalised", "fedbn", [486, 486])
    assert [figure["value"] for figure in own_parts["sites"]] != [figure["value"] for figure in together["sites"]]
    for item, kept, alone_ in zip(found.contributions, own_parts["sites"], own, strict=True):
        assert item["personalised"][0]["over_own"]["value"] == pytest.approx(kept["value"] - alone_)
    portal.close()

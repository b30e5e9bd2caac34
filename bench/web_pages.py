"""Which pages people of a synthetic portal open, by the roles that they have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import httpx

MAIL = "scale.example"
# The first investigator leads a tenth of all studies, the first auditor audits all of them.
PEOPLE = {
    "investigator-1": "investigator",
    "auditor-1": "auditor",
    "site-admin-1": "site",
    "investigator-2": "investigator",
    "administrator-1": "administrator",
    "auditor-2": "auditor",
    "site-admin-2": "site",
    "investigator-3": "investigator",
    "steward-3": "site",
    "auditor-3": "auditor",
}
EVERYBODY = {"studies": "/", "notifications": "/notifications"}
OF_STUDY = {
    "study": "/studies/{study}",
    "study: protocol": "/studies/{study}/protocol",
    "study: dictionary": "/studies/{study}/dictionary",
    "study: people": "/studies/{study}/people",
    "study: schedules": "/studies/{study}/schedules",
    "enrolment": "/enrolments/{enrolment}",
    "script version": "/scripts/{version}",
    "script version: source": "/scripts/{version}/source",
    "script version: changes": "/scripts/{version}/changes",
    "script version: review": "/scripts/{version}/review",
    "run": "/runs/{run}",
}
LOG = {
    "log": "/events",
    "log: of a study": "/studies/{study}/events",
    "log: words": "/events?q=hospital+017",
    "log: a word that most have": "/events?q=run",
    "log: a word that none has": "/events?q=unheard",
    "log: refused": "/events?outcome=refused",
    "log: failures of runs": "/events?kind=runs&outcome=failed",
    "log: a month long ago": "/events?since={long_ago}-01&until={long_ago}-28",
    "log: a person": "/events?actor=investigator+003",
}
LEADING = {
    "new study": "/studies/new",
    "new run": "/studies/{study}/runs/new",
    "new invitation": "/studies/{study}/enrolments/new",
    "new dictionary": "/studies/{study}/dictionary/new",
    "fork of a run": "/runs/{run}/fork",
}
OF_SITE = {"sites": "/sites", "site": "/sites/{site}", "site: people": "/sites/{site}/people"}
BY_ROLE = {
    "investigator": EVERYBODY | OF_STUDY | LOG | LEADING,
    "auditor": EVERYBODY | OF_STUDY | LOG,
    "site": EVERYBODY | OF_STUDY | LOG | OF_SITE,
    "administrator": EVERYBODY | LOG | OF_SITE,
}
FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Opened:
    """A page that somebody opens, by its name in the figures."""

    name: str
    address: str


def addresses(url: str, password: str, long_ago: str) -> dict[str, list[Opened]]:
    """The pages of each person, by their e-mail addresses, as far as they have what is in them; ids come by the API.

    Args:
        long_ago: a month, such as "2025-03".
    """
    found = {}
    with httpx.Client(base_url=f"{url}/api/v1/", timeout=60, trust_env=False) as client:
        for person, role in PEOPLE.items():
            email = f"{person}@{MAIL}"
            token = client.post("auth/token", json={"email": email, "password": password}).raise_for_status().json()
            ids = _ids(client, role, {"Authorization": f"Token {token['token']}"})
            names = ids | {"long_ago": long_ago}
            wanted = {
                name: address for name, address in BY_ROLE[role].items() if names.keys() >= set(FIELD.findall(address))
            }
            found[email] = [Opened(name, address.format(**names)) for name, address in wanted.items()]
    return found


def _ids(client: httpx.Client, role: str, headers: dict[str, str]) -> dict[str, str]:
    """Ids of a study of the person with what is in it, and of a site."""

    def first(path: str, **query: str) -> dict[str, Any]:
        rows = client.get(path, params=query, headers=headers).raise_for_status().json()["results"]
        return dict(rows[0])

    ids = {"site": first("sites")["id"]} if role in ("site", "administrator") else {}
    if role == "administrator":
        return ids
    studies = client.get("studies", headers=headers).raise_for_status().json()["results"]
    active = [row["id"] for row in studies if row["state"] == "active"]
    study, run = _with_run(client, active, headers)
    script = first(f"studies/{study}/scripts")["id"]
    return (
        ids
        | ({"run": run} if run else {})
        | {
            "study": study,
            "version": first(f"scripts/{script}/versions")["id"],
            "enrolment": first(f"studies/{study}/enrolments")["id"],
        }
    )


def _with_run(client: httpx.Client, studies: list[str], headers: dict[str, str]) -> tuple[str, str]:
    """The first of the studies that has a run which is over, and that run; else the first study, and no run."""
    for study in studies:
        rows = client.get(f"studies/{study}/runs", headers=headers).raise_for_status().json()["results"]
        for row in rows:
            if row["state"] != "draft":
                return study, row["id"]
    return studies[0], ""

"""Nine people, and objects that are theirs, of another study, of another site, or archived."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse_lazy
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import tokens
from accounts.models import Site, User
from accounts.roles import Role
from accounts.services import create_site, grant_role
from accounts.tokens import begin_program_session
from federation.runs.models import Model, Round, RunFile
from federation.runs.storage import file_store, model_store
from fedstudy_core import signed_request
from nodes.registry.services import confirm_node
from portal import session_life
from studies.lifecycle.models import Study
from studies.lifecycle.services import move_study
from tests.api import world as worlds
from tests.api.world import NodeKeys, World, enrolled_node, person
from tests.audit.logs import sequence
from tests.triggers import past_triggers

# Letters of the table's columns, in the order of security's matrix, and the fields of a place that hold them.
PEOPLE: Mapping[str, str] = MappingProxyType(
    {
        "-": "anonymous",
        "0": "stranger",
        "+": "admin",
        "P": "pi",
        "C": "co_investigator",
        "U": "auditor",
        "A": "site_admin",
        "S": "steward",
        "N": "node",
    }
)
MODEL, FILE = b"parameters", b"figures"
# Addresses after which a browser's session is over, or has another key.
ENDING = (reverse_lazy("web:sign-out"), reverse_lazy("web:account-password"))


@dataclass
class Place(World):
    """A study and one of its sites, with everything in them."""

    co_investigator: User
    steward: User


@dataclass
class Scene:
    """The places by how they stand to the people of the first one.

    Attributes:
        own: their study, and their site in it.
        other_study: a study and a site of other people.
        other_site: their study, and another site in it.
        archived: an archived study of theirs, and their site in it.
    """

    own: Place
    other_study: Place
    other_site: Place
    archived: Place

    def __post_init__(self) -> None:
        people = {who: name for who, name in PEOPLE.items() if who not in "-N"}
        self._api = {"-": APIClient()} | {who: self._token_client(name) for who, name in people.items()}
        self._pages = {"-": Client()} | {who: self._browser(name) for who, name in people.items()}
        self._signed = 0

    def place(self, name: str) -> Place:
        """A place as it was built, in objects of its own."""
        found: Place = getattr(self, name)
        return worlds.copy_of(found)

    def api(self, who: str, method: str, address: str, body: Any, *, form: bool) -> Any:
        """An answer of the API to one of PEOPLE, in their usual way: in a session of a program, or signed."""
        if who == "N":
            return self.signed(self._api["-"], method, address, None if form else body)
        client = self._api[who]
        options = {} if method == "get" else {"format": "multipart" if form else "json"}
        return getattr(client, method)(address, body, **options)

    def page(self, who: str, method: str, address: str, body: Any) -> HttpResponse:
        """A page for one of PEOPLE; a node signs its request in vain."""
        if who == "N":
            return self.signed(self._pages["-"], method, address, None)
        client = self._pages[who]
        if who != "-" and address in ENDING:  # not in the session that goes on
            client = self._browser(PEOPLE[who])
        answer: HttpResponse = getattr(client, method)(address, body)
        return answer

    def signed(self, client: Any, method: str, address: str, body: Any) -> Any:
        """An answer to a request that the first place's node signs."""
        content = b"" if body is None else json.dumps(body).encode()
        headers = self.signature(method, address, content)
        return client.generic(method.upper(), address, content, content_type="application/json", headers=headers)

    def signature(self, method: str, address: str, content: bytes) -> dict[str, str]:
        """The headers by which the first place's node signs a request."""
        self._signed += 1
        return signed_request.sign(
            self.own.keys.identity,
            node=str(self.own.node.pk),
            method=method.upper(),
            path=address,
            body=content,
            now=timezone.now(),
            sequence=self._signed,
        )

    def credentials(self, who: str, environ: dict[str, Any]) -> dict[str, Any]:
        """What makes a raw WSGI request one of PEOPLE's."""
        if who != "N":
            return dict(self._api[who]._credentials)
        content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        query = environ.get("QUERY_STRING", "")
        address = quote(environ["PATH_INFO"].encode("latin-1"), safe="/~!$&'()*+,;=:@") + (f"?{query}" if query else "")
        headers = self.signature(environ["REQUEST_METHOD"], address, content)
        told = {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in headers.items()}
        return {**told, "wsgi.input": io.BytesIO(content)}

    def session(self, who: str) -> str:
        """The key of somebody's session."""
        return str(self._pages[who].session.session_key)

    def _token_client(self, name: str) -> APIClient:
        client = APIClient()
        _, token = begin_program_session(user=getattr(self.own, name))
        client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        return client

    def _browser(self, name: str) -> Client:
        client = Client()
        client.force_login(getattr(self.own, name), backend="django.contrib.auth.backends.ModelBackend")
        return client


def build() -> Scene:
    """All places, made by the services."""
    world = worlds.build()
    own = _staffed(world, "Mine")
    cast = {name: getattr(world, name) for name in ("admin", "pi", "auditor", "site_admin", "stranger")}
    archived = _with(own, worlds.furnish(cast, own.site, own.node, own.keys, title="A study that is over"))
    grant_role(user=own.co_investigator, role=Role.CO_INVESTIGATOR, obj=archived.study, by=own.pi)
    worlds.another_site(world)
    scene = Scene(own, _other_study(own), _other_site(own), archived)
    for place in (scene.own, scene.other_study, scene.archived):
        leave_results(place)
    for state in ("closed", "archived"):
        archived.study = move_study(study=archived.study, to=state, by=own.pi)
    sequence()
    return scene


@contextmanager
def fewer_lines() -> Iterator[None]:
    """The portal's own logs leave out warnings: what is asked inside is thousands of requests."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def used_for_long() -> Iterator[None]:
    """For thousands of requests of which nothing stays: after a minute each would note anew that a session is used."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(session_life, "NOTED_EVERY_S", 86_400)
        changed.setattr(tokens, "NOTED_EVERY", timedelta(days=1))
        yield


def _staffed(world: World, name: str) -> Place:
    """A place with a co-investigator and a data steward too."""
    tag = name.lower()
    co = person(f"co-{tag}@demo.example", f"Cory {name}")
    steward = person(f"steward-{tag}@demo.example", f"Stella {name}")
    grant_role(user=co, role=Role.CO_INVESTIGATOR, obj=world.study, by=world.pi)
    grant_role(user=steward, role=Role.STEWARD, obj=world.site, by=world.site_admin)
    return Place(**_values(world), co_investigator=co, steward=steward)


def _other_study(own: Place) -> Place:
    """Other people's study at other people's site; each of its names and addresses says "zebra"."""
    cast = {
        "admin": own.admin,
        "stranger": own.stranger,
        "pi": person("pi-zebra@demo.example", "Zoe Zebra"),
        "auditor": person("auditor-zebra@demo.example", "Zack Zebra"),
    }
    site, cast["site_admin"] = _site(own.admin, "Zebra")
    node, keys = _node(site, cast["site_admin"])
    return _staffed(worlds.furnish(cast, site, node, keys, title="A study of zebra fish"), "Zebra")


def _other_site(own: Place) -> Place:
    """Another site in the same study."""
    site, site_admin = _site(own.admin, "Okapi")
    node, keys = _node(site, site_admin)
    place = replace(own, site=site, site_admin=site_admin, node=node, keys=keys)
    worlds.take_part(place)
    return place


def _site(admin: User, name: str) -> tuple[Site, User]:
    site_admin = person(f"site-{name.lower()}@demo.example", f"Sid {name}")
    site = create_site(name=f"{name} Hospital", short_name=name.lower(), by=admin)
    grant_role(user=site_admin, role=Role.ADMIN, obj=site, by=admin)
    return site, site_admin


def _node(site: Site, site_admin: User) -> tuple[Any, NodeKeys]:
    keys = NodeKeys()
    node = enrolled_node(site, f"node-{site.short_name}", keys, site_admin)
    return confirm_node(node=node, words=node.words, by=site_admin), keys


def leave_results(place: World) -> None:
    """A committed round with its model, and a file of the script's own, in the place's run."""
    model_sha, file_sha = model_store().put(MODEL), file_store().put(FILE)
    model = Model.objects.create(run=place.run, round_number=0, sha256=model_sha, size=len(MODEL), schema={})
    Round.objects.create(run=place.run, number=0, state="committed", model_out=model, committed_at=timezone.now())
    RunFile.objects.create(run=place.run, name="figures.txt", form="other", sha256=file_sha, size=len(FILE))


def opened_again(study: Study, state: str) -> None:
    """Set a study's state past every rule: an archived one is opened while the table's objects are made in it."""
    with past_triggers(Study):
        Study.objects.filter(pk=study.pk).update(state=state)
    study.state = state


def _values(world: World) -> dict[str, Any]:
    return {item.name: getattr(world, item.name) for item in fields(World)}


def _with(place: Place, world: World) -> Place:
    return replace(place, **_values(world))

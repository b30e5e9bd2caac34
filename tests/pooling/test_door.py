"""The door for pooled objects: what comes in encrypted, in parts, once; and who is given it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from audit.models import Event
from fedstudy_core import signed_request
from fedstudy_core.freight import OFFSET
from portal.pool_door import upload_path
from studies.pooling.consents import revoke_consent
from studies.pooling.models import PooledObject
from studies.pooling.objects import SEALED, announce_object
from tests.factories.pools import Member, Pool, new_pool

CONTENT = SEALED + Random(1).randbytes(2_500_000)


class Scene:
    """A site that may hand one object in, and requests of nodes."""

    def __init__(self, client: httpx.AsyncClient, pool: Pool, item: PooledObject) -> None:
        self.client, self.pool, self.item = client, pool, item

    async def ask(self, method: str, body: bytes = b"", *, by: Member | None = None, **headers: str) -> httpx.Response:
        member, path = by or self.pool.member, upload_path(self.item)
        signed = signed_request.sign(
            member.hardware.identity,
            node=str(member.node.pk),
            method=method,
            path=path,
            body=b"",
            now=timezone.now(),
            sequence=0,
        )
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, path, content=body, headers={**signed, **told})

    async def state(self) -> str:
        await sync_to_async(self.item.refresh_from_db)()
        return self.item.state


def build(content: bytes) -> tuple[Pool, PooledObject]:
    pool = new_pool()
    consent = pool.give()
    manifest = pool.manifest(consent, content)
    return pool, announce_object(manifest=manifest, trusted=pool.member.itself, by=pool.member.node)


@pytest.fixture
def opened(settings: Any, tmp_path: Path) -> Path:
    settings.FEDSTUDY_DATA_DIR = tmp_path
    return tmp_path


@pytest.fixture
async def scene(transactional_db: None, opened: Path) -> AsyncIterator[Scene]:
    async for made in scene_for(CONTENT):
        yield made


async def scene_for(content: bytes) -> AsyncIterator[Scene]:
    pool, item = await sync_to_async(build)(content)
    async for made in scene_for_item(pool, item):
        yield made


async def scene_for_item(pool: Pool, item: PooledObject) -> AsyncIterator[Scene]:
    """Requests about an object of a site."""
    from portal.asgi import application

    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield Scene(client, pool, item)


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_an_object_comes_in_parts_and_goes_to_the_pool_node(scene: Scene, opened: Path) -> None:
    begun = await scene.ask("PUT", CONTENT[:1_000_000], Content_Length=str(len(CONTENT)))
    assert (begun.status_code, await scene.state()) == (204, "receiving")
    assert (await scene.ask("HEAD")).headers[OFFSET] == "1000000"
    wrong = await scene.ask("PATCH", CONTENT[1_000_001:], **{OFFSET: "1000001"})
    refused(wrong, 409, "E_OFFSET")
    rest = await scene.ask("PATCH", CONTENT[1_000_000:], **{OFFSET: "1000000"})
    assert (rest.status_code, await scene.state()) == (204, "complete")
    assert (await scene.ask("PUT", CONTENT)).status_code == 204, "once more changes nothing"
    received = Event.objects.filter(action="pooling:object:received")
    assert await sync_to_async(received.count)() == 1
    centre = scene.pool.centre
    fetched = await scene.ask("GET", by=centre, Range="bytes=2000000-")
    assert (fetched.status_code, fetched.content) == (206, CONTENT[2_000_000:])
    refused(await scene.ask("GET"), 404, "E_NOT_FOUND")  # not even the site's own node
    refused(await scene.ask("PUT", CONTENT, by=centre), 404, "E_NOT_FOUND")


def cut(content: bytes) -> bytes:
    return content[:-1] + b"\0"


def reordered(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[: len(SEALED)] + content[middle:] + content[len(SEALED) : middle]


def altered(content: bytes) -> bytes:
    place = len(content) - 1000
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def doubled(content: bytes) -> bytes:
    quarter = len(content) // 4
    return content[: 2 * quarter] + content[quarter : 2 * quarter] + content[3 * quarter :]


@pytest.mark.parametrize("change", [cut, reordered, altered, doubled], ids=lambda change: change.__name__)
async def test_other_bytes_than_the_description_says_are_refused(
    change: Callable[[bytes], bytes], scene: Scene, opened: Path
) -> None:
    answer = await scene.ask("PUT", change(CONTENT))
    refused(answer, 422, "E_DIGEST")
    assert await scene.state() == "refused"
    assert not list((opened / "pool").rglob("*.part")), "nothing of it is kept"
    refused(await scene.ask("PUT", CONTENT), 403, "E_NO_CONSENT")


async def test_fewer_or_more_bytes_are_refused(scene: Scene) -> None:
    refused(await scene.ask("PUT", CONTENT[:-1]), 413, "E_TOO_LARGE")
    refused(await scene.ask("PUT", CONTENT + b"\0"), 413, "E_TOO_LARGE")
    assert await scene.state() == "announced"


PLAIN = b"age,outcome\n63,1\n" * 1000


async def test_plain_rows_are_refused_before_they_are_written(transactional_db: None, opened: Path) -> None:
    async for scene in scene_for(PLAIN):
        refused(await scene.ask("PUT", PLAIN), 422, "E_NOT_SEALED")
        assert await scene.state() == "refused"
    written = [path.read_bytes() for path in opened.rglob("*") if path.is_file()]
    assert not any(b"63,1" in content for content in written)


async def test_plain_rows_behind_a_broken_beginning_are_not_kept(transactional_db: None, opened: Path) -> None:
    content = SEALED[:5] + PLAIN
    async for scene in scene_for(content):
        refused(await scene.ask("PUT", content[:5], Content_Length=str(len(content))), 422, "E_NOT_SEALED")
        refused(await scene.ask("PATCH", content[5:], **{OFFSET: "5"}), 403, "E_NO_CONSENT")


async def test_nothing_is_taken_or_given_after_the_consent_ended(scene: Scene) -> None:
    assert (await scene.ask("PUT", CONTENT)).status_code == 204
    consent, admin = scene.item.consent, scene.pool.member.admin
    await sync_to_async(revoke_consent)(consent=consent, by=admin)
    refused(await scene.ask("GET", by=scene.pool.centre), 404, "E_NOT_FOUND")
    refused(await scene.ask("PUT", CONTENT), 403, "E_NO_CONSENT")


async def test_who_does_not_sign_is_told_nothing(scene: Scene) -> None:
    path = upload_path(scene.item)
    refused(await scene.client.get(path), 401, "E_SIGNATURE")
    refused(await scene.ask("DELETE"), 405, "E_METHOD")
    other = await scene.client.get(path.replace(str(scene.item.pk), "not-an-id"))
    assert other.status_code in (401, 404)

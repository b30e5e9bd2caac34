"""A value of a patient, sealed and sent as a node does it: the portal holds it nowhere, and no backup gives it back."""

from __future__ import annotations

import base64
import io
import logging
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from psycopg import sql

from fedstudy_core.errors import Refusal
from fedstudy_node.pooling.sealing import Key, make_key, open_sealed, seal
from studies.pooling.consents import record_deletion, revoke_consent
from studies.pooling.models import PooledObject
from tests.factories import pools
from tests.pooling.test_door import Scene, scene_for_item

CANARY = 880_007_719_353
MARKS = (str(CANARY).encode(), CANARY.to_bytes(8, "little"), base64.b64encode(str(CANARY).encode()))
ROWS = 80


def rows_with_canary() -> bytes:
    """A table as a node pools it, with the canary among its values."""
    ages = [CANARY, *range(40, 40 + ROWS - 1)]
    table = pyarrow.table({"age": pyarrow.array(ages, pyarrow.int64()), "outcome": [True, False] * (ROWS // 2)})
    sink = io.BytesIO()
    with pyarrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def dump() -> bytes:
    """Every row of every table as text; bytes also as they are, as a backup of PostgreSQL has them."""
    found: list[bytes] = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))
            for row in cursor.fetchall():
                found += [bytes(item) if isinstance(item, bytes | memoryview) else str(item).encode() for item in row]
    return b"\n".join(found)


def files(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def build(key: Key, recovery: Key, content: bytes) -> tuple[pools.Pool, PooledObject]:
    pool = pools.new_pool(key=False)
    pool.recipient, pool.member.recovery = key.recipient, recovery.recipient
    pools.register(pool)
    return pool, pool.announce(pool.give(), content, rows=ROWS)


def held(plain: bytes) -> list[bool]:
    return [mark in plain for mark in MARKS]


async def test_the_canary_is_nowhere_on_the_portal_and_gone_for_good(
    transactional_db: None, settings: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.FEDSTUDY_DATA_DIR = tmp_path / "data"
    caplog.set_level(logging.DEBUG)
    key, recovery, plain, sealed = make_key(), make_key(), rows_with_canary(), io.BytesIO()
    assert held(plain)[1], "the test would see the canary, were it there"
    seal(plain, sealed, [key.recipient, recovery.recipient])
    content = sealed.getvalue()
    pool, item = await sync_to_async(build)(key, recovery, content)
    async for scene in scene_for_item(pool, item):
        await the_portal_holds_ciphertext_only(scene, content, tmp_path, caplog)
        fetched = await scene.ask("GET", by=pool.centre)
    assert open_sealed(io.BytesIO(fetched.content), key.secret) == plain
    (kept,) = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size == len(content)]
    backup = kept.read_bytes()
    await sync_to_async(delete)(pool, item)
    assert content not in files(tmp_path)
    # the pool node has destroyed its key: what a backup of the portal holds opens with no other
    with pytest.raises(Refusal, match="E_SEALED"):
        open_sealed(io.BytesIO(backup), make_key().secret)
    assert open_sealed(io.BytesIO(backup), recovery.secret) == plain, "but for the site itself"


async def the_portal_holds_ciphertext_only(
    scene: Scene, content: bytes, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await scene.ask("PUT", content)).status_code == 204
    assert await scene.state() == "complete"
    for place in (await sync_to_async(dump)(), files(folder), caplog.text.encode()):
        assert held(place) == [False] * len(MARKS)
    assert content in files(folder)


def delete(pool: pools.Pool, item: PooledObject) -> None:
    consent = revoke_consent(consent=item.consent, delete=True, by=pool.member.admin)
    record_deletion(envelope=pool.deletion(consent), trusted=pool.centre.itself, by=pool.centre.node)
    assert PooledObject.objects.get().state == "deleted"
